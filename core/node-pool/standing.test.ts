import { describe, expect, test } from "vitest";
import { claim, type NodePool, offer, withdraw } from "./node-pool.ts";
import { attempt, first, node, poolOf, ticket, word } from "./pool.fixture.ts";
import { type Standing, standingOf } from "./standing.ts";

const none = { members: 1, freeSlots: 0, waiting: 0, leasesToAll: 0, leasesToNode: 0 };

/** A pool of `a` with one lease given to it at 0 and used, and what it then says of its room. */
function served(free: number): NodePool {
  const pool = poolOf({ a: 1 });
  claim(pool, ticket("t1"), 0, first);
  offer(pool, word("a", free, { taken: ["t1"] }), 1, first);
  return pool;
}

/** A pool in which `a` has room and all went to `b`. */
function outpaced(): NodePool {
  const pool = poolOf({ a: { free: 2, firstTokenMs: 900 }, b: { free: 2, firstTokenMs: 100 } });
  claim(pool, ticket("t1"), 0, first);
  return pool;
}

describe("why a node gets work or none", () => {
  test.each<[why: string, pool: NodePool, nowMs: number, standing: Standing]>([
    [
      "it has room and had work",
      served(3),
      2,
      { kind: "serving", counts: { ...none, freeSlots: 3, leasesToAll: 1, leasesToNode: 1 } },
    ],
    ["it has no room", served(0), 2, { kind: "busy", counts: { ...none, leasesToAll: 1, leasesToNode: 1 } }],
    ["nobody asked", poolOf({ a: 4 }), 2, { kind: "idle_no_demand", counts: { ...none, freeSlots: 4 } }],
    [
      "nobody asked of late",
      served(3),
      60_000 - 51_000,
      { kind: "serving", counts: { ...none, freeSlots: 3, leasesToAll: 1, leasesToNode: 1 } },
    ],
    [
      "others were sooner",
      outpaced(),
      2,
      { kind: "idle_others_sooner", counts: { ...none, members: 2, freeSlots: 3, leasesToAll: 1 } },
    ],
    [
      "it is put aside",
      poolOf({ a: { free: 4, asideUntilMs: 9_000 } }),
      2,
      { kind: "aside", untilMs: 9_000, counts: { ...none, freeSlots: 4 } },
    ],
    ["nothing was heard of it", poolOf({ a: 4 }), 10_000, { kind: "silent", counts: { ...none, freeSlots: 4 } }],
    ["it is no member", poolOf({}), 2, { kind: "not_member", counts: { ...none, members: 0 } }],
  ])("%s", (_why, pool, nowMs, standing) => {
    expect(standingOf(pool, node("a"), nowMs)).toEqual(standing);
  });

  test("leases count for a minute", () => {
    const pool = poolOf({ a: 4 }, { silentMs: 999_999 });
    claim(pool, ticket("t1"), 0, first);
    withdraw(pool, attempt("t1"), 1, first);
    expect(standingOf(pool, node("a"), 59_999).kind).toBe("serving");
    expect(standingOf(pool, node("a"), 60_000).kind).toBe("idle_no_demand");
  });

  test("who waits is counted", () => {
    const pool = poolOf({ a: 0 });
    for (const name of ["t1", "t2"]) claim(pool, ticket(name), 1, first);
    expect(standingOf(pool, node("a"), 2).counts.waiting).toBe(2);
  });
});
