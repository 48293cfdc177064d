import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { attemptIdSchema, modelHashSchema, taskIdSchema } from "../core/ids.ts";
import { modelNameSchema } from "../core/model/model-card.ts";
import { OutputLog, taskLine } from "./task-log.ts";
import type { FinishedTask } from "./task-runner.ts";

const sampling = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, seed: 1, stop: [], maxTokens: 8 };
const chat: FinishedTask = {
  frame: {
    type: "task",
    taskId: taskIdSchema.parse("task_one0"),
    attemptId: attemptIdSchema.parse("attempt_one0"),
    model: modelHashSchema.parse("a".repeat(64)),
    input: { kind: "chat", messages: [{ role: "user", content: "a secret prompt" }], sampling },
  },
  model: modelNameSchema.parse("a-model"),
  outcome: "stop",
  problem: undefined,
  promptTokens: 31,
  tokenIds: [1, 2, 3, 4, 5],
  report: undefined,
  firstTokenMs: 100,
  stoppedAfterMs: undefined,
  totalMs: 500,
};
const embedding: FinishedTask = {
  ...chat,
  frame: { ...chat.frame, input: { kind: "embedding", texts: ["one", "two"] } },
  tokenIds: [],
};
const check: FinishedTask = {
  ...chat,
  frame: {
    ...chat.frame,
    input: {
      kind: "check",
      of: { kind: "completion", prompt: "a secret prompt", sampling },
      ...{ tokenIds: [1, 2], text: "a", finishReason: "stop", positions: [0, 2] },
    },
  },
  tokenIds: [],
  report: {
    findings: [
      { position: 0, margin: 0, rank: 0 },
      { position: 2, margin: 0.025, rank: 1 },
    ],
    isTextOfTokens: true,
    isEndRight: true,
  },
};
const noon = new Date(2030, 0, 1, 12, 34, 56);

test.each<[what: string, task: FinishedTask, line: string]>([
  [
    "a chat: tokens in and out, time to the first, speed of the rest",
    chat,
    "12:34:56  a-model  in 31  out 5 tokens  first token 100 ms  10.0 tokens/s  stop  task_one0",
  ],
  [
    "a chat of one token: no speed, since there is no second",
    { ...chat, tokenIds: [1] },
    "12:34:56  a-model  in 31  out 1 tokens  first token 100 ms  stop  task_one0",
  ],
  [
    "a chat too fast to measure: no speed, not an infinite one",
    { ...chat, totalMs: 100 },
    "12:34:56  a-model  in 31  out 5 tokens  first token 100 ms  stop  task_one0",
  ],
  [
    "a chat that failed: why",
    { ...chat, outcome: "failed", problem: "out of memory", tokenIds: [], firstTokenMs: undefined },
    "12:34:56  a-model  in 31  out 0 tokens  failed: out of memory  task_one0",
  ],
  [
    "a chat that was cancelled: that it was, its tokens, and how long it took to stop",
    { ...chat, outcome: "cancelled", stoppedAfterMs: 12 },
    "12:34:56  a-model  in 31  out 5 tokens  first token 100 ms  10.0 tokens/s  stopped after 12 ms  cancelled  task_one0",
  ],
  [
    "a chat that nobody waits for any more: why it stopped",
    { ...chat, tokenIds: [1], outcome: "cancelled", stoppedAfterMs: 0, problem: "nobody waits" },
    "12:34:56  a-model  in 31  out 1 tokens  first token 100 ms  stopped after 0 ms  cancelled: nobody waits  task_one0",
  ],
  [
    "a chat that another node began: what it goes on after",
    { ...chat, frame: { ...chat.frame, continues: [7, 8, 9] } },
    "12:34:56  a-model  in 31  goes on after 3 tokens  out 5 tokens  first token 100 ms  10.0 tokens/s  stop  task_one0",
  ],
  ["an embedding: texts and time", embedding, "12:34:56  a-model  in 31  2 texts  500 ms  stop  task_one0"],
  [
    "a check: at how many places, and what it came to",
    check,
    "12:34:56  a-model  in 31  checked 2 tokens  mean margin 0.013  500 ms  stop  task_one0",
  ],
  [
    "a check that came to nothing: that it did",
    { ...check, report: undefined, outcome: "cancelled" },
    "12:34:56  a-model  in 31  not checked  500 ms  cancelled  task_one0",
  ],
])("the line of %s", (_what, task, line) => {
  expect(taskLine(task, noon)).toBe(line);
});

test("no line holds a prompt", () => {
  expect(taskLine(chat, noon)).not.toContain("secret");
});

test("the output log keeps each task's tokens, one task a line, for its owner alone, and goes on after a restart", async () => {
  const home = mkdtempSync(join(tmpdir(), "task-log-"));
  for (const task of [chat, embedding]) {
    const log = new OutputLog(home);
    log.write(task);
    await log.close();
  }
  const path = join(home, "outputs.jsonl");
  const lines: unknown[] = readFileSync(path, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  const told = { taskId: "task_one0", attemptId: "attempt_one0", model: "a-model", outcome: "stop", promptTokens: 31 };
  expect(lines).toEqual([
    { ...told, tokenIds: [1, 2, 3, 4, 5] },
    { ...told, tokenIds: [] },
  ]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  rmSync(home, { recursive: true });
});
