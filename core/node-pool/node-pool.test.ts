import { describe, expect, test } from "vitest";
import {
  claim,
  claimNow,
  emptyPool,
  expire,
  leave,
  nextExpiryMs,
  offer,
  placedElsewhere,
  recall,
  roomOf,
  withdraw,
} from "./node-pool.ts";
import { attempt, first, node, poolOf, ticket, waitingIn, word } from "./pool.fixture.ts";

describe("a claim", () => {
  test("gets a node that has room", () => {
    expect(claim(poolOf({ a: 1 }), ticket("t1"), 1, first)).toEqual({ kind: "lease", nodeId: node("a") });
  });

  test("never gets more than the free credits", () => {
    const pool = poolOf({ a: 2 });
    const kinds = ["t1", "t2", "t3", "t4"].map((name) => claim(pool, ticket(name), 1, first).kind);
    expect(kinds).toEqual(["lease", "lease", "wait", "wait"]);
    expect(roomOf(pool)).toEqual([]);
  });

  test("never gets a node it excludes, however idle", () => {
    const pool = poolOf({ a: 4, b: 1 });
    expect(claim(pool, ticket("t1", { exclude: ["a"] }), 1, first)).toMatchObject({ nodeId: node("b") });
    expect(claim(pool, ticket("t2", { exclude: ["a"] }), 1, first)).toEqual({ kind: "wait" });
  });

  test.each<[guarantee: string, room: Record<string, number>, exclude: string[]]>([
    ["an empty pool refuses at once", {}, []],
    ["a pool whose every node is excluded refuses at once", { a: 1, b: 1 }, ["a", "b"]],
    ["excluding nodes that are not there changes nothing", { a: 1 }, ["a", "x", "y"]],
  ])("%s", (_guarantee, room, exclude) => {
    const pool = poolOf(room);
    expect(claim(pool, ticket("t1", { exclude }), 1, first)).toEqual({ kind: "refuse", code: "no_live_node" });
    expect(waitingIn(pool)).toEqual([]);
  });

  test("past the queue's bound is refused, and the queue stays as it was", () => {
    const pool = poolOf({ a: 0 }, { tickets: 3 });
    const placements = ["t1", "t2", "t3", "t4"].map((name) => claim(pool, ticket(name), 1, first));
    expect(placements.slice(0, 3)).toEqual([{ kind: "wait" }, { kind: "wait" }, { kind: "wait" }]);
    expect(placements[3]).toEqual({ kind: "refuse", code: "queue_full" });
    expect(waitingIn(pool)).toEqual(["t1", "t2", "t3"].map(attempt));
  });

  test("of an attempt that was given a lease gets the same lease again, and no second one", () => {
    const pool = poolOf({ a: 2, b: 2 });
    const given = claim(pool, ticket("t1"), 1, first);
    expect(claim(pool, ticket("t1"), 2, first)).toEqual(given);
    expect(pool.claims.size).toBe(1);
  });

  test("of an attempt that waits goes on waiting as one ticket", () => {
    const pool = poolOf({ a: 0 });
    claim(pool, ticket("t1"), 1, first);
    expect(claim(pool, ticket("t1"), 2, first)).toEqual({ kind: "wait" });
    expect(offer(pool, word("a", 2), 3, first)).toHaveLength(1);
  });
});

describe("a claim that will not wait", () => {
  test.each<[guarantee: string, room: Record<string, number>, exclude: string[], expected: object]>([
    ["gets a node that has room", { a: 1 }, [], { kind: "lease", nodeId: node("a") }],
    ["is told that all are busy, and no ticket waits", { a: 0 }, [], { kind: "refuse", code: "no_free_node" }],
    ["is told that nobody could serve it", { a: 1 }, ["a"], { kind: "refuse", code: "no_live_node" }],
  ])("%s", (_guarantee, room, exclude, expected) => {
    const pool = poolOf(room);
    expect(claimNow(pool, ticket("t1", { exclude }), 1, first)).toEqual(expected);
    expect(waitingIn(pool)).toEqual([]);
  });

  test("gets no room that time brings to who waits already", () => {
    const pool = poolOf({ a: 1 });
    claim(pool, ticket("t1"), 0, first);
    claim(pool, ticket("t2"), 0, first);
    expect(claimNow(pool, ticket("t3"), 1_000, first)).toMatchObject({ kind: "refuse" });
    expect(expire(pool, 1_000, first)).toMatchObject([{ attemptId: attempt("t2"), kind: "lease" }]);
  });

  test.each<[guarantee: string, isLastResort: boolean, kind: string]>([
    ["gets one put aside as the last resort", true, "lease"],
    ["gets none put aside for who has better ones that are busy", false, "refuse"],
  ])("%s", (_guarantee, isLastResort, kind) => {
    const pool = poolOf({ a: { free: 1, asideUntilMs: 9_000 } });
    expect(claimNow(pool, ticket("t1"), 1, first, { isLastResort }).kind).toBe(kind);
  });
});

describe("who waits", () => {
  test("is served first come, first served", () => {
    const pool = poolOf({ a: 0 });
    for (const name of ["t1", "t2", "t3"]) claim(pool, ticket(name), 1, first);
    expect(offer(pool, word("a", 2), 2, first)).toEqual([
      { attemptId: attempt("t1"), kind: "lease", nodeId: node("a") },
      { attemptId: attempt("t2"), kind: "lease", nodeId: node("a") },
    ]);
    expect(waitingIn(pool)).toEqual([attempt("t3")]);
  });

  test("is not overtaken by a newcomer", () => {
    const pool = poolOf({ a: 1 });
    claim(pool, ticket("t1"), 1, first);
    claim(pool, ticket("t2"), 1, first);
    // The claim of t1 is void by now, which makes room that t2 waits for.
    expect(claim(pool, ticket("t3"), 1_001, first)).toEqual({ kind: "wait" });
    expect(expire(pool, 1_001, first)).toEqual([{ attemptId: attempt("t2"), kind: "lease", nodeId: node("a") }]);
  });

  test("for another node does not keep a newcomer from a free one", () => {
    const pool = poolOf({ a: 1, b: 0 });
    expect(claim(pool, ticket("t1", { exclude: ["a"] }), 1, first)).toEqual({ kind: "wait" });
    expect(claim(pool, ticket("t2"), 1, first)).toEqual({ kind: "lease", nodeId: node("a") });
  });

  test("for a node it may not have lets the next in the queue have it", () => {
    const pool = poolOf({ a: 0, b: 0 });
    claim(pool, ticket("t1", { exclude: ["a"] }), 1, first);
    claim(pool, ticket("t2"), 1, first);
    expect(offer(pool, word("a", 1), 2, first)).toEqual([
      { attemptId: attempt("t2"), kind: "lease", nodeId: node("a") },
    ]);
  });

  test("past their time is told that no node was free", () => {
    const pool = poolOf({ a: 0 });
    claim(pool, ticket("t1", { expiresAtMs: 100 }), 1, first);
    expect(expire(pool, 99, first)).toEqual([]);
    expect(expire(pool, 100, first)).toEqual([{ attemptId: attempt("t1"), kind: "refuse", code: "no_free_node" }]);
    expect(expire(pool, 101, first)).toEqual([]);
  });

  test("is told at once when the last node leaves", () => {
    const pool = poolOf({ a: 0, b: 0 });
    claim(pool, ticket("t1"), 1, first);
    claim(pool, ticket("t2", { exclude: ["a"] }), 1, first);
    expect(leave(pool, node("b"), 2, first)).toEqual([
      { attemptId: attempt("t2"), kind: "refuse", code: "no_live_node" },
    ]);
    expect(leave(pool, node("a"), 3, first)).toEqual([
      { attemptId: attempt("t1"), kind: "refuse", code: "no_live_node" },
    ]);
  });

  test("and withdraws is never served", () => {
    const pool = poolOf({ a: 0 });
    claim(pool, ticket("t1"), 1, first);
    expect(withdraw(pool, attempt("t1"), 2, first)).toEqual([]);
    expect(offer(pool, word("a", 1), 3, first)).toEqual([]);
  });

  test("and is placed by another shard is not served here", () => {
    const pool = poolOf({ a: 0 });
    claim(pool, ticket("t1"), 1, first);
    expect([placedElsewhere(pool, attempt("t1")), placedElsewhere(pool, attempt("t1"))]).toEqual([true, false]);
    expect(offer(pool, word("a", 1), 3, first)).toEqual([]);
  });
});

describe("a task under way", () => {
  const patient = { isPatient: true };

  test("waits for a node to come where none lives", () => {
    const pool = poolOf({});
    expect(claim(pool, ticket("t1", patient), 1, first)).toEqual({ kind: "wait" });
    expect(offer(pool, word("a", 1), 2, first)).toMatchObject([{ kind: "lease", nodeId: node("a") }]);
  });

  test("goes on waiting when the last node leaves", () => {
    const pool = poolOf({ a: 0 });
    claim(pool, ticket("t1", patient), 1, first);
    expect(leave(pool, node("a"), 2, first)).toEqual([]);
    expect(offer(pool, word("b", 1), 3, first)).toMatchObject([{ kind: "lease", nodeId: node("b") }]);
  });

  test("is told in the end that none lives", () => {
    const pool = poolOf({});
    claim(pool, ticket("t1", patient), 1, first);
    expect(expire(pool, 5_000, first)).toEqual([{ attemptId: attempt("t1"), kind: "refuse", code: "no_live_node" }]);
  });
});

describe("a lease that was given", () => {
  test("and withdrawn goes to who waits", () => {
    const pool = poolOf({ a: 1 });
    claim(pool, ticket("t1"), 1, first);
    claim(pool, ticket("t2"), 1, first);
    expect(withdraw(pool, attempt("t1"), 2, first)).toEqual([
      { attemptId: attempt("t2"), kind: "lease", nodeId: node("a") },
    ]);
  });

  test("but never used is void after its time", () => {
    const pool = poolOf({ a: 1 });
    claim(pool, ticket("t1"), 0, first);
    expect(claim(pool, ticket("t2"), 999, first)).toEqual({ kind: "wait" });
    expect(expire(pool, 1_000, first)).toEqual([{ attemptId: attempt("t2"), kind: "lease", nodeId: node("a") }]);
  });

  test("but never used makes room for the next claim where nobody waits", () => {
    const pool = poolOf({ a: 1 });
    claim(pool, ticket("t1"), 0, first);
    expect(claim(pool, ticket("t2"), 1_000, first)).toEqual({ kind: "lease", nodeId: node("a") });
  });

  test("still counts when the node speaks before it arrives", () => {
    const pool = poolOf({ a: 1 });
    claim(pool, ticket("t1"), 0, first);
    offer(pool, word("a", 1), 1, first);
    expect(roomOf(pool)).toEqual([]);
  });

  test("counts once when the node says that it took it", () => {
    const pool = poolOf({ a: 2 });
    claim(pool, ticket("t1"), 0, first);
    offer(pool, word("a", 1, { taken: ["t1"] }), 1, first);
    expect(roomOf(pool)).toEqual([{ nodeId: node("a"), slots: 4, free: 1 }]);
  });

  test("to a node that left does not count when the node returns", () => {
    const pool = poolOf({ a: 1 });
    claim(pool, ticket("t1"), 0, first);
    leave(pool, node("a"), 1, first);
    offer(pool, word("a", 1), 2, first);
    expect(roomOf(pool)).toMatchObject([{ nodeId: node("a"), free: 1 }]);
    expire(pool, 1_000, first);
    withdraw(pool, attempt("t1"), 1_001, first);
    expect(roomOf(pool)).toMatchObject([{ nodeId: node("a"), free: 1 }]);
  });

  test("to a node that left is given anew to an attempt that asks again", () => {
    const pool = poolOf({ a: 1, b: 1 });
    expect(claim(pool, ticket("t1"), 0, first)).toMatchObject({ nodeId: node("a") });
    leave(pool, node("a"), 1, first);
    expect(claim(pool, ticket("t1"), 2, first)).toMatchObject({ nodeId: node("b") });
  });
});

describe("what time settles next", () => {
  test("is nothing while nobody waits", () => {
    const pool = poolOf({ a: 1 });
    claim(pool, ticket("t1"), 1, first);
    expect(nextExpiryMs(pool)).toBeUndefined();
  });

  test("is the ticket that ends first, not the one that came first", () => {
    const pool = poolOf({ a: 0 });
    claim(pool, ticket("t1", { expiresAtMs: 30_000 }), 1, first);
    claim(pool, ticket("t2", { expiresAtMs: 500 }), 1, first);
    expect(nextExpiryMs(pool)).toBe(500);
    withdraw(pool, attempt("t2"), 2, first);
    expect(nextExpiryMs(pool)).toBe(10_000);
  });

  test("is the void claim whose room a ticket waits for, when that comes first", () => {
    const pool = poolOf({ a: 1 });
    claim(pool, ticket("t1"), 10, first);
    claim(pool, ticket("t2"), 20, first);
    expect(nextExpiryMs(pool)).toBe(1_010);
  });

  test("is the member that falls silent, when that comes first", () => {
    const pool = poolOf({ a: 0 });
    claim(pool, ticket("t1", { expiresAtMs: 30_000 }), 1, first);
    expect(nextExpiryMs(pool)).toBe(10_000);
  });

  test("is the member that comes back from being put aside, when that comes first", () => {
    const pool = poolOf({ a: 0, b: { free: 1, asideUntilMs: 700 } });
    claim(pool, ticket("t1"), 1, first);
    expect(nextExpiryMs(pool)).toBe(700);
    expect(expire(pool, 700, first)).toEqual([{ attemptId: attempt("t1"), kind: "lease", nodeId: node("b") }]);
  });

  test("is due at once where a claim has found a member silent that others wait for", () => {
    const pool = poolOf({ a: 0 });
    claim(pool, ticket("t1", { expiresAtMs: 30_000 }), 1, first);
    claim(pool, ticket("t2", { expiresAtMs: 30_000, isPatient: true }), 10_000, first);
    expect(nextExpiryMs(pool)).toBe(0);
    expect(expire(pool, 10_000, first)).toEqual([{ attemptId: attempt("t1"), kind: "refuse", code: "no_live_node" }]);
  });
});

describe("a member", () => {
  test("silent for too long is dropped, and who waits for it is told", () => {
    const pool = poolOf({ a: 0 });
    claim(pool, ticket("t1", { expiresAtMs: 99_999 }), 1, first);
    expect(expire(pool, 9_999, first)).toEqual([]);
    expect(expire(pool, 10_000, first)).toEqual([{ attemptId: attempt("t1"), kind: "refuse", code: "no_live_node" }]);
    expect(pool.members.byId.size).toBe(0);
  });

  test("silent for too long is not claimed", () => {
    expect(claim(poolOf({ a: 1 }), ticket("t1", { expiresAtMs: 99_999 }), 10_000, first)).toEqual({
      kind: "refuse",
      code: "no_live_node",
    });
  });

  test("that speaks again stays", () => {
    const pool = poolOf({ a: 1 });
    offer(pool, word("a", 1), 9_000, first);
    expect(claim(pool, ticket("t1", { expiresAtMs: 99_999 }), 18_999, first).kind).toBe("lease");
  });

  test("with more claimed than it now has is given nothing", () => {
    const pool = poolOf({ a: 2 });
    claim(pool, ticket("t1"), 0, first);
    claim(pool, ticket("t2"), 0, first);
    offer(pool, word("a", 1), 1, first);
    expect(claim(pool, ticket("t3"), 2, first)).toEqual({ kind: "wait" });
  });

  test("that a reset pool recalls has all its slots as a guess, until its own word", () => {
    const pool = emptyPool({ tickets: 3, claimMs: 1_000, silentMs: 10_000 });
    recall(pool, { nodeId: node("a"), slots: 2, tokensPerSecond: 10, firstTokenMs: null, heardAtMs: 0 });
    expect(roomOf(pool)).toEqual([{ nodeId: node("a"), slots: 2, free: 2 }]);
    expect(pool.members.byId.get(node("a"))?.isGuess).toBe(true);
    offer(pool, word("a", 1, { slots: 2 }), 1, first);
    expect(roomOf(pool)).toEqual([{ nodeId: node("a"), slots: 2, free: 1 }]);
    expect(pool.members.byId.get(node("a"))?.isGuess).toBe(false);
  });
});
