import { expect, test } from "vitest";
import {
  accountIdSchema,
  keyIdSchema,
  modelHashSchema,
  newAttemptId,
  newTaskId,
  nodeIdSchema,
} from "../../core/ids.ts";
import { modelNameSchema } from "../../core/model/model-card.ts";
import { answerProblems, type Evidence, recordProblems } from "./answer-problems.ts";
import type { WireAttempt } from "./node-wire.ts";
import type { AccountRecord } from "./record-of.ts";

const taskId = newTaskId();
const [firstId, secondId] = [newAttemptId(), newAttemptId()];
const textOf = (ids: readonly number[]) => ids.map((id) => `<${id}>`).join("");

function attempt(attemptId: typeof firstId, continues: number[], ids: number[]): WireAttempt {
  return {
    taskId,
    attemptId,
    handedAtMs: 1,
    continues,
    ackedAtMs: 2,
    pieces: ids.map((id, seq) => ({ attemptId, seq, tokenIds: [id], text: textOf([id]) })),
    repeats: 0,
    commit: undefined,
    hasFailed: false,
    cancelledAtMs: undefined,
  };
}

/** Five tokens: three by a node that died after its fourth, which nobody has; two by the next. */
function evidence(change: (all: Evidence) => void = () => {}): Evidence {
  const all: Evidence = {
    received: {
      taskId,
      text: "<1><2><3><4><5>",
      finishReason: "length",
      usage: { promptTokens: 7, completionTokens: 5 },
      error: undefined,
      longestSilenceMs: 10,
    },
    attempts: [attempt(firstId, [], [1, 2, 3, 9]), attempt(secondId, [1, 2, 3], [4, 5])],
    outputs: [{ taskId, attemptId: secondId, outcome: "length", promptTokens: 7, tokenIds: [4, 5] }],
    textOf,
    maxTokens: 5,
  };
  change(all);
  return all;
}

function record(change: (all: AccountRecord) => void = () => {}): AccountRecord {
  const accountId = accountIdSchema.parse("acc0");
  const keyId = keyIdSchema.parse("key_acc0_1");
  const modelName = modelNameSchema.parse("model");
  const shared = { taskId, accountId, keyId, modelName, promptTokens: 7, completionTokens: 5 };
  const times = { assignedAtMs: 1, ackedAtMs: 2, firstTokenAtMs: 3, endedAtMs: 4 };
  const of = (node: string) => ({ taskId, nodeId: nodeIdSchema.parse(node), promptTokens: 7, ...times });
  const all: AccountRecord = {
    tasks: [
      {
        ...shared,
        modelSha256: modelHashSchema.parse("0".repeat(64)),
        task: "chat",
        state: "completed",
        finishReason: "length",
        errorCode: null,
        createdAtMs: 1,
        endedAtMs: 4,
      },
    ],
    attempts: [
      { ...of("node_one1"), attemptId: firstId, state: "lost", reason: "gone", completionTokens: 3 },
      { ...of("node_two2"), attemptId: secondId, state: "committed", reason: null, completionTokens: 2 },
    ],
    usage: [{ ...shared, atMs: 4 }],
  };
  change(all);
  return all;
}

test("an answer of two nodes that is whole has no problem, in the record neither", () => {
  expect(answerProblems(evidence())).toEqual([]);
  expect(recordProblems(record(), evidence())).toEqual([]);
});

test.each<[problem: string, said: string, change: (all: Evidence) => void]>([
  ["a broken stream", "the stream broke: Error: cut", ({ received }) => (received.error = new Error("cut"))],
  ["an end of another kind", "it finished with stop", ({ received }) => (received.finishReason = "stop")],
  [
    "a wrong count",
    "it counts 4 tokens",
    ({ received }) => (received.usage = { promptTokens: 7, completionTokens: 4 }),
  ],
  ["a piece lost", "the text differs at 7", ({ received }) => (received.text = "<1><2><4><5>")],
  ["a piece doubled", "the text differs at 7", ({ received }) => (received.text = "<1><2><2><3><4><5>")],
  ["a piece altered", "the text differs at 7", ({ received }) => (received.text = "<1><2><8><4><5>")],
  ["the last piece lost", "the text differs at 12", ({ received }) => (received.text = "<1><2><3><4>")],
  [
    "a node that goes on from what nobody sent",
    "attempt 1 goes on from ids that nobody had sent",
    (all) => (all.attempts = [attempt(firstId, [], [1, 2]), attempt(secondId, [1, 2, 3], [4, 5])]),
  ],
  [
    "an answer that is too short on the wire",
    "the nodes made 4 tokens",
    (all) => (all.attempts = [attempt(secondId, [], [1, 2, 3, 4])]),
  ],
  ["a log that knows nothing of it", "0 lines of it", (all) => (all.outputs = [])],
  [
    "a log that says otherwise",
    "the last node logged 1 ids (length) and sent 2",
    (all) => (all.outputs = all.outputs.map((line) => ({ ...line, tokenIds: [4] }))),
  ],
  ["no node at all", "no node was handed the task", (all) => (all.attempts = [])],
])("%s is told", (_problem, said, change) => {
  expect(answerProblems(evidence(change)).join("\n")).toContain(said);
});

test.each<[problem: string, said: string, change: (all: AccountRecord) => void]>([
  ["a task that is not there", "the task is not there", (all) => (all.tasks = [])],
  [
    "a task that failed",
    "the task is failed",
    (all) => (all.tasks = all.tasks.map((row) => ({ ...row, state: "failed" }))),
  ],
  ["a task that is there twice", "there twice", (all) => all.tasks.push(...all.tasks)],
  [
    "a task that counts otherwise",
    "the task counts 7 and 6 tokens",
    (all) => (all.tasks = all.tasks.map((row) => ({ ...row, completionTokens: 6 }))),
  ],
  ["a task that is not billed", "billed 0 times", (all) => (all.usage = [])],
  ["a task that is billed twice", "billed 2 times", (all) => all.usage.push(...all.usage)],
  [
    "a bill that counts otherwise",
    "the bill counts 8 and 5 tokens",
    (all) => (all.usage = all.usage.map((row) => ({ ...row, promptTokens: 8 }))),
  ],
  [
    "two committed attempts",
    "2 attempts are committed",
    (all) => (all.attempts = all.attempts.map((row) => ({ ...row, state: "committed" }))),
  ],
  [
    "an attempt that goes on",
    "its attempts are acked, committed",
    (all) => (all.attempts = all.attempts.map((row) => (row.state === "lost" ? { ...row, state: "acked" } : row))),
  ],
])("%s is told", (_problem, said, change) => {
  expect(recordProblems(record(change), evidence()).join("\n")).toContain(said);
});
