import { describe, expect, test } from "vitest";
import { attemptIdSchema, nodeIdSchema } from "../ids.ts";
import { attemptRecord, newAttempt } from "../task/attempt.ts";
import { taskStates } from "../task/task-moves.ts";
import { nodeFrameExamples } from "../wire/frame-examples.ts";
import { recordEntrySchema } from "./entry.ts";

const hash = "a".repeat(64);
const attempt = attemptRecord(
  newAttempt({ attemptId: attemptIdSchema.parse("attempt_one0"), nodeId: nodeIdSchema.parse("node_one0") }, 1),
  2,
);
const entries = {
  account: { kind: "account", accountId: "acct", name: "An account", createdAtMs: 1 },
  key: {
    kind: "key",
    keyId: "key_one0",
    accountId: "acct",
    name: "a key",
    hint: "wxyz",
    createdAtMs: 1,
    revokedAtMs: null,
  },
  invite: {
    kind: "invite",
    inviteId: "invite_one0",
    accountId: "acct",
    name: "an invite",
    hint: "wxyz",
    maxNodes: 3,
    usedNodes: 0,
    createdAtMs: 1,
    expiresAtMs: null,
    revokedAtMs: null,
  },
  node: {
    kind: "node",
    nodeId: "node_one0",
    accountId: "acct",
    name: "a node",
    publicKey: nodeFrameExamples.hello.publicKey,
    software: "my-node/1",
    models: nodeFrameExamples.hello.models,
    registeredAtMs: 1,
    seenAtMs: 2,
  },
  task: {
    kind: "task",
    taskId: "task_one0",
    accountId: "acct",
    keyId: "key_one0",
    modelName: "a-model",
    modelSha256: hash,
    task: "chat",
    state: "completed",
    finishReason: "stop",
    errorCode: null,
    promptTokens: 3,
    completionTokens: 4,
    createdAtMs: 1,
    endedAtMs: 2,
    attempts: [attempt],
  },
  verdict: {
    kind: "verdict",
    taskId: "task_one0",
    nodeId: "node_one0",
    operator: "acct",
    modelName: "a-model",
    modelSha256: hash,
    outcome: "invalid",
    meanMargin: 0.7,
    positions: 32,
    reasons: ["margin"],
    validators: ["node_two0", "node_three0"],
    revision: 1,
    atMs: 3,
  },
  suspension: {
    kind: "suspension",
    nodeId: "node_one0",
    suspendedAtMs: 4,
    reason: "Its answers failed checks.",
    toldAtMs: 4,
  },
};

test("every kind of entry has an example here", () => {
  expect(recordEntrySchema.options.map((option) => option.shape.kind.value).toSorted()).toEqual(
    Object.keys(entries).toSorted(),
  );
});

describe.each(Object.entries(entries))("an entry of a %s", (_kind, entry) => {
  test("is kept as it was told", () => {
    expect(recordEntrySchema.parse(entry)).toEqual(entry);
  });

  test("with a field nobody knows is refused", () => {
    expect(recordEntrySchema.safeParse({ ...entry, prompt: "never recorded" }).success).toBe(false);
  });

  test.each(Object.keys(entry))("without %s is refused", (field) => {
    const rest = Object.fromEntries(Object.entries(entry).filter(([key]) => key !== field));
    expect(recordEntrySchema.safeParse(rest).success).toBe(false);
  });
});

test.each(taskStates)("a task may be recorded as %s", (state) => {
  expect(recordEntrySchema.safeParse({ ...entries.task, state }).success).toBe(true);
});

test.each<[what: string, change: object]>([
  ["a state that is none", { state: "done" }],
  ["a negative count", { promptTokens: -1 }],
  ["half a token", { completionTokens: 0.5 }],
  ["a time before the epoch", { createdAtMs: -1 }],
  ["another model than a file's hash", { modelSha256: "a-model" }],
  ["a finish that consumers do not know", { finishReason: "cancelled" }],
  ["more attempts than a task can have", { attempts: Array.from({ length: 65 }, () => attempt) }],
  ["an attempt that has not ended", { attempts: [{ ...attempt, endedAtMs: null }] }],
])("a task with %s is refused", (_what, change) => {
  expect(recordEntrySchema.safeParse({ ...entries.task, ...change }).success).toBe(false);
});

test("no field of a task could hold a prompt or an answer", () => {
  const fields = Object.keys(entries.task);
  for (const field of ["prompt", "messages", "input", "output", "text", "answer"]) expect(fields).not.toContain(field);
});
