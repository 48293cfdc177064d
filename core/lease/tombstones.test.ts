import { expect, test } from "vitest";
import { limits } from "../limits.ts";
import { toyNodeId, toyStartMs, toyTask } from "../testing/toy-terms.ts";
import type { AttemptEnd } from "./attempt-event.ts";
import { type Lease, newLease } from "./lease.ts";
import { Tombstones } from "./tombstones.ts";

const nowMs = toyStartMs;
const end: AttemptEnd = { type: "failed", how: "refuse", reason: "no" };
const ended = (number: number): Lease => newLease(toyTask(number).terms, toyNodeId, nowMs);
const idOf = (number: number) => toyTask(number).terms.attemptId;

test("an end is there for 30 s and not longer, whether or not anybody has cleared up", () => {
  for (const isCleared of [false, true]) {
    const stones = new Tombstones();
    stones.add(ended(1), end, nowMs);
    if (isCleared) stones.expire(nowMs + limits.leaseGraceMs - 1);
    expect(stones.get(idOf(1), nowMs + limits.leaseGraceMs - 1)).toMatchObject({ end, endedAtMs: nowMs });
    if (isCleared) stones.expire(nowMs + limits.leaseGraceMs);
    expect(stones.get(idOf(1), nowMs + limits.leaseGraceMs)).toBeUndefined();
    expect(stones.size).toBe(isCleared ? 0 : 1);
  }
});

test("clearing up leaves what is younger", () => {
  const stones = new Tombstones();
  stones.add(ended(1), end, nowMs);
  stones.add(ended(2), end, nowMs + 1);
  stones.expire(nowMs + limits.leaseGraceMs);
  expect([1, 2].map((number) => stones.get(idOf(number), nowMs + limits.leaseGraceMs) !== undefined)).toEqual([
    false,
    true,
  ]);
});

test("past two thousand the oldest goes", () => {
  const stones = new Tombstones();
  for (let number = 0; number <= 2_000; number += 1) stones.add(ended(number), end, nowMs);
  expect(stones.size).toBe(2_000);
  expect(stones.get(idOf(0), nowMs)).toBeUndefined();
  expect(stones.get(idOf(1), nowMs)).toBeDefined();
});

test("the node is told of each ended attempt once, oldest first, when it ended long enough ago", () => {
  const stones = new Tombstones();
  for (const [number, atMs] of [nowMs, nowMs + 10, nowMs + 20].entries()) stones.add(ended(number), end, atMs);
  expect(stones.settledBefore(nowMs - 1)).toEqual([]);
  expect(stones.settledBefore(nowMs + 10)).toEqual([idOf(0), idOf(1)]);
  expect(stones.hasUnsettled).toBe(true);
  expect(stones.settledBefore(nowMs + 1_000)).toEqual([idOf(2)]);
  expect(stones.settledBefore(nowMs + 1_000)).toEqual([]);
  expect(stones.hasUnsettled).toBe(false);
});

test("no more at once than a frame may hold", () => {
  const stones = new Tombstones();
  for (let number = 0; number < limits.heldAttempts + 5; number += 1) stones.add(ended(number), end, nowMs);
  expect(stones.settledBefore(nowMs)).toHaveLength(limits.heldAttempts);
  expect(stones.settledBefore(nowMs)).toHaveLength(5);
});

test("an attempt that is told again is not forgotten by its node meanwhile, and is settled after it ended anew", () => {
  const stones = new Tombstones();
  stones.add(ended(1), end, nowMs);
  stones.add(ended(2), end, nowMs);
  stones.remove(idOf(1));
  expect(stones.get(idOf(1), nowMs)).toBeUndefined();
  expect(stones.settledBefore(nowMs + 5_000)).toEqual([idOf(2)]);
  stones.add(ended(1), end, nowMs + 5_000);
  expect(stones.settledBefore(nowMs + 5_000)).toEqual([idOf(1)]);
});

test("what storage brings back owes its node no word: it was a socket ago", () => {
  const stones = new Tombstones();
  const { terms } = toyTask(1);
  const { attemptId } = terms;
  const times = { assignedAtMs: nowMs, ackedAtMs: nowMs, firstTokenAtMs: nowMs, endedAtMs: nowMs };
  const counts = { promptTokens: 3, completionTokens: 2 };
  const attempt = { attemptId, nodeId: toyNodeId, state: "committed", reason: null, ...counts, ...times } as const;
  const { taskId, accountId, keyId, modelName, model, kind, createdAtMs } = terms;
  const task = {
    kind: "task",
    taskId,
    accountId,
    keyId,
    modelName,
    modelSha256: model,
    task: kind,
    createdAtMs,
  } as const;
  const ending = { state: "completed", finishReason: "length", errorCode: null, endedAtMs: nowMs } as const;
  stones.recover(
    attemptId,
    { ...task, ...ending, promptTokens: 3, completionTokens: 12, attempts: [attempt] },
    nowMs + 50,
  );
  expect(stones.get(attemptId, nowMs + 50)).toMatchObject({
    end: { type: "committed", finishReason: "length", ...counts },
    nextSeq: null,
    canReplay: true,
    // The ten before were made by attempts of other nodes.
    lease: { terms: { taskId, attemptId, continuedTokens: 10 }, attempt },
  });
  expect(stones.hasUnsettled).toBe(false);
  // A record that does not tell of the attempt tells nothing.
  stones.recover(idOf(2), { ...task, ...ending, promptTokens: 3, completionTokens: 12, attempts: [attempt] }, nowMs);
  expect(stones.size).toBe(1);
});
