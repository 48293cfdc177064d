import { describe, expect, test } from "vitest";
import { attemptIdSchema, modelHashSchema, nodeIdSchema } from "../ids.ts";
import { claim, emptyPool, expire, leave, nextExpiryMs, offer, roomOf, type Ticket, withdraw } from "./node-pool.ts";
import { poolName } from "./pool-name.ts";

const limits = { tickets: 3, claimMs: 1_000, silentMs: 10_000 };
const node = (name: string) => nodeIdSchema.parse(`node_${name.padEnd(4, "0")}`);
const attempt = (name: string) => attemptIdSchema.parse(`attempt_${name.padEnd(4, "0")}`);
const ticket = (
  name: string,
  { exclude = [], expiresAtMs = 5_000 }: { exclude?: string[]; expiresAtMs?: number } = {},
) => ({ attemptId: attempt(name), exclude: new Set(exclude.map(node)), expiresAtMs }) satisfies Ticket;
const first = () => 0;

/** A pool whose nodes have the room given, all heard at 0. */
function poolOf(room: Record<string, number>) {
  const pool = emptyPool(limits);
  for (const [name, free] of Object.entries(room)) {
    offer(pool, { nodeId: node(name), slots: 4, free, taken: [] }, 0, first);
  }
  return pool;
}
const word = (name: string, free: number, taken: string[] = []) => ({
  nodeId: node(name),
  slots: 4,
  free,
  taken: taken.map(attempt),
});

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
    expect(pool.tickets.size).toBe(0);
  });

  test("takes the less busy of two nodes drawn", () => {
    const draws = [0, 0.9];
    const pool = poolOf({ a: 1, b: 3 });
    expect(claim(pool, ticket("t1"), 1, () => draws.shift() ?? 0)).toEqual({ kind: "lease", nodeId: node("b") });
  });

  test("past the queue's bound is refused, and the queue stays as it was", () => {
    const pool = poolOf({ a: 0 });
    const placements = ["t1", "t2", "t3", "t4"].map((name) => claim(pool, ticket(name), 1, first));
    expect(placements.slice(0, 3)).toEqual([{ kind: "wait" }, { kind: "wait" }, { kind: "wait" }]);
    expect(placements[3]).toEqual({ kind: "refuse", code: "queue_full" });
    expect([...pool.tickets.keys()]).toEqual(["t1", "t2", "t3"].map(attempt));
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
    expect([...pool.tickets.keys()]).toEqual([attempt("t3")]);
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

  test("still counts when the node speaks before it arrives", () => {
    const pool = poolOf({ a: 1 });
    claim(pool, ticket("t1"), 0, first);
    offer(pool, word("a", 1), 1, first);
    expect(roomOf(pool)).toEqual([]);
  });

  test("counts once when the node says that it took it", () => {
    const pool = poolOf({ a: 2 });
    claim(pool, ticket("t1"), 0, first);
    offer(pool, word("a", 1, ["t1"]), 1, first);
    expect(roomOf(pool)).toEqual([{ nodeId: node("a"), slots: 4, free: 1 }]);
  });

  test("to a node that left does not count when the node returns", () => {
    const pool = poolOf({ a: 1 });
    claim(pool, ticket("t1"), 0, first);
    leave(pool, node("a"), 1, first);
    offer(pool, word("a", 1), 2, first);
    expect(roomOf(pool)).toMatchObject([{ nodeId: node("a"), free: 1 }]);
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
  });

  test("is the void claim whose room a ticket waits for, when that comes first", () => {
    const pool = poolOf({ a: 1 });
    claim(pool, ticket("t1"), 10, first);
    claim(pool, ticket("t2"), 20, first);
    expect(nextExpiryMs(pool)).toBe(1_010);
  });
});

describe("a member", () => {
  test("silent for too long is dropped, and who waits for it is told", () => {
    const pool = poolOf({ a: 0 });
    claim(pool, ticket("t1", { expiresAtMs: 99_999 }), 1, first);
    expect(expire(pool, 9_999, first)).toEqual([]);
    expect(expire(pool, 10_000, first)).toEqual([{ attemptId: attempt("t1"), kind: "refuse", code: "no_live_node" }]);
    expect(pool.members.size).toBe(0);
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
});

test("a pool is named for its model file, region and shard", () => {
  expect(poolName(modelHashSchema.parse("a".repeat(64)))).toBe(`${"a".repeat(64)}/global/0`);
});
