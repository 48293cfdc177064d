import { accountIdSchema, attemptIdSchema, keyIdSchema, modelHashSchema, nodeIdSchema, taskIdSchema } from "../ids.ts";
import type { LeaseTerms } from "../lease/lease.ts";
import { modelNameSchema } from "../model/model-card.ts";
import type { TaskFrame } from "../wire/router-frame.ts";
import type { TaskInput } from "../wire/task-input.ts";

const sampling = {
  temperature: 0,
  topP: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  seed: 0,
  stop: [],
  maxTokens: null,
};
const chat: TaskInput = { kind: "chat", messages: [{ role: "user", content: "Hello" }], sampling };
const embedding: TaskInput = { kind: "embedding", texts: ["a", "b"] };

/** The node of every toy lease. */
export const toyNodeId = nodeIdSchema.parse("node_1234");

/** When the clocks of lease tests begin; tasks were admitted 10 ms before. */
export const toyStartMs = 1_000_000;

/** What a lease is about, and the frame that hands it out. `number` tells attempts apart; `fields` replace terms. */
export function toyTask(number = 0, fields: Partial<LeaseTerms> = {}): { terms: LeaseTerms; task: TaskFrame } {
  const taskId = taskIdSchema.parse(`task_000${number}`);
  const attemptId = attemptIdSchema.parse(`attempt_000${number}`);
  const model = modelHashSchema.parse("a".repeat(64));
  const terms: LeaseTerms = {
    taskId,
    attemptId,
    accountId: accountIdSchema.parse("acct"),
    keyId: keyIdSchema.parse("key_acct_1234"),
    modelName: modelNameSchema.parse("model"),
    model,
    kind: "chat",
    inputs: 0,
    dimensions: null,
    createdAtMs: toyStartMs - 10,
    priorAttempts: [],
    continuedTokens: 0,
    ...fields,
  };
  return { terms, task: { type: "task", taskId, attemptId, model, input: terms.kind === "chat" ? chat : embedding } };
}
