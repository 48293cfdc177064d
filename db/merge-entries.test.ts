import { expect, test } from "vitest";
import type { AttemptRecord, RecordEntry, TaskRecord } from "../core/record/entry.ts";
import { attemptStates } from "../core/task/attempt-moves.ts";
import { isTerminal, taskStates } from "../core/task/task-moves.ts";
import { mergeEntries } from "./merge-entries.ts";
import { attemptStandings, taskStandings } from "./standings.ts";
import { account, attempt, invite, key, node, startMs, task } from "./testing/entries.ts";
import { randomTellings } from "./testing/random-tellings.ts";
import { seededRandom } from "./testing/seeded-random.ts";

test("nothing told is nothing to write", () => {
  expect(mergeEntries([])).toEqual({
    ...{ accounts: [], keys: [], invites: [], nodes: [], tasks: [], attempts: [] },
    ...{ verdicts: [], suspensions: [] },
  });
});

test("each id has one row, and rows are sorted by id", () => {
  const rows = mergeEntries([task("b"), task("a"), task("b"), account("bob"), account("alice")]);
  expect(rows.tasks.map((row) => row.taskId)).toEqual(["task_a0000", "task_b0000"]);
  expect(rows.accounts.map((row) => row.accountId)).toEqual(["acctalice", "acctbob"]);
});

test("a task's attempts become rows of their own that name the task", () => {
  const rows = mergeEntries([task("t1", { attempts: [attempt("a1"), attempt("a2")] })]);
  expect(rows.attempts.map(({ attemptId, taskId }) => [attemptId, taskId])).toEqual([
    ["attempt_a10000", "task_t10000"],
    ["attempt_a20000", "task_t10000"],
  ]);
  expect(rows.tasks[0]).not.toHaveProperty("attempts");
});

test.each<[guarantee: string, entries: RecordEntry[], table: "keys" | "invites" | "nodes", expected: object]>([
  [
    "a revoked key stays revoked",
    [key("k", { revokedAtMs: startMs + 5 }), key("k")],
    "keys",
    { revokedAtMs: startMs + 5 },
  ],
  [
    "the earliest revocation counts",
    [key("k", { revokedAtMs: 9 }), key("k", { revokedAtMs: 5 })],
    "keys",
    { revokedAtMs: 5 },
  ],
  [
    "an invite's used nodes only grow",
    [invite("i", { usedNodes: 3 }), invite("i", { usedNodes: 1 })],
    "invites",
    { usedNodes: 3 },
  ],
  [
    "a node is as it was when last seen",
    [node("n", { seenAtMs: 9, software: "new" }), node("n", { seenAtMs: 5, software: "old" })],
    "nodes",
    { seenAtMs: 9, software: "new" },
  ],
  [
    "a node's first registration counts",
    [node("n", { registeredAtMs: 3, seenAtMs: 5 }), node("n", { registeredAtMs: 4, seenAtMs: 9 })],
    "nodes",
    { registeredAtMs: 3, seenAtMs: 9 },
  ],
])("%s", (_guarantee, entries, table, expected) => {
  expect(mergeEntries(entries)[table]).toMatchObject([expected]);
  expect(mergeEntries(entries.toReversed())[table]).toMatchObject([expected]);
});

test.each<[guarantee: string, kept: Partial<TaskRecord>, other: Partial<TaskRecord>]>([
  [
    "an end stands above a state on the way, however late that comes",
    { state: "failed" },
    { state: "committed", endedAtMs: startMs + 9_000 },
  ],
  ["a state further on the way is kept", { state: "acked" }, { state: "queued", promptTokens: 50 }],
  [
    "nothing overwrites a completion",
    { state: "completed" },
    { state: "failed", promptTokens: 50, endedAtMs: startMs + 9_000 },
  ],
  [
    "a task that was told failed is not one that is billed as cancelled",
    { state: "failed" },
    { state: "cancelled", promptTokens: 50 },
  ],
  [
    "of two tellings of one end the one with more tokens is kept",
    { state: "cancelled", completionTokens: 5 },
    { state: "cancelled", endedAtMs: startMs + 9_000 },
  ],
  [
    "of two tellings with the same tokens the later end is kept",
    { state: "failed", endedAtMs: startMs + 9_000 },
    { state: "failed" },
  ],
])("%s", (_guarantee, kept, other) => {
  const { kind: _, attempts: __, ...row } = task("t", kept);
  expect(mergeEntries([task("t", kept), task("t", other)]).tasks).toEqual([row]);
  expect(mergeEntries([task("t", other), task("t", kept)]).tasks).toEqual([row]);
});

test("of two completions the first that was told stays", () => {
  const entries = [task("t", { promptTokens: 5 }), task("t", { promptTokens: 50 })];
  expect(mergeEntries(entries).tasks).toMatchObject([{ promptTokens: 5 }]);
});

test.each<
  [guarantee: string, left: Partial<AttemptRecord>, right: Partial<AttemptRecord>, merged: Partial<AttemptRecord>]
>([
  [
    "an attempt lost by one writer and counted by another keeps the counts",
    { state: "lost", reason: "socket gone" },
    { state: "lost", promptTokens: 4, completionTokens: 9 },
    { state: "lost", reason: "socket gone", promptTokens: 4, completionTokens: 9 },
  ],
  [
    "a committed attempt stays committed and gives no reason",
    { state: "committed", completionTokens: 3 },
    { state: "lost", reason: "socket gone", completionTokens: 2, endedAtMs: startMs + 9_000 },
    { state: "committed", reason: null, completionTokens: 3, endedAtMs: startMs + 1_000 },
  ],
  [
    "a time that one writer knows is kept, the earliest of two",
    { ackedAtMs: startMs + 20, firstTokenAtMs: null },
    { ackedAtMs: startMs + 10, firstTokenAtMs: startMs + 30 },
    { ackedAtMs: startMs + 10, firstTokenAtMs: startMs + 30 },
  ],
])("%s", (_guarantee, left, right, merged) => {
  const tellings = [left, right].map((told) => task("t", { attempts: [attempt("a", told)] }));
  expect(mergeEntries(tellings).attempts).toMatchObject([merged]);
  expect(mergeEntries(tellings.toReversed()).attempts).toMatchObject([merged]);
});

test("every end stands above every state on the way, and no two states stand alike", () => {
  const ends = taskStates.filter(isTerminal).map((state) => taskStandings[state]);
  const others = taskStates.filter((state) => !isTerminal(state)).map((state) => taskStandings[state]);
  expect(Math.min(...ends)).toBeGreaterThan(Math.max(...others));
  expect(new Set(Object.values(taskStandings)).size).toBe(taskStates.length);
  expect(new Set(Object.values(attemptStandings)).size).toBe(attemptStates.length);
});

test("any order of the same tellings, some of them twice, gives the same rows (seeds 1 to 100)", () => {
  for (let seed = 1; seed <= 100; seed += 1) {
    const random = seededRandom(seed);
    const { entries, truth } = randomTellings(random, 20);
    const rows = mergeEntries(random.shuffled([...entries, ...entries.filter(() => random.below(3) === 0)]));
    expect(rows, `seed ${seed}`).toEqual(mergeEntries(entries));
    expect(rows.attempts, `seed ${seed}`).toHaveLength(truth.attempts.total);
    const tokens = rows.attempts.reduce((sum, row) => sum + row.completionTokens, 0);
    expect(tokens, `seed ${seed}`).toBe(truth.attempts.completionTokens);
    const completed = rows.tasks.filter((row) => row.state === "completed");
    expect(completed, `seed ${seed}`).toHaveLength(truth.states.completed ?? 0);
  }
});
