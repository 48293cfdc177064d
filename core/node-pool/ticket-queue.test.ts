import { describe, expect, test } from "vitest";
import { claim, firstWaiting, type NodePool, offer, placedElsewhere, withdraw } from "./node-pool.ts";
import { account, attempt, first, poolOf, ticket, waitingIn, word } from "./pool.fixture.ts";
import { lookAheadTickets } from "./ticket-queue.ts";

type Fields = Parameters<typeof ticket>[1];

/** A pool without room, in which these tickets wait, in this order. */
function poolWith(tickets: readonly [name: string, fields?: Fields][], bound = 100): NodePool {
  const pool = poolOf({ a: 0, b: 0 }, { tickets: bound });
  for (const [name, fields] of tickets) claim(pool, ticket(name, fields), 1, first);
  return pool;
}

/** Whom a node with so much room serves, in order, by the names of the tickets. */
function served(pool: NodePool, free: number, name = "a"): string[] {
  const settled = offer(
    pool,
    word(name, free + (pool.members.byId.get(word(name, 0).nodeId)?.claimed ?? 0), { slots: 100 }),
    2,
    first,
  );
  return settled.map(({ attemptId }) => attemptId.replace(/^attempt_|_+$/g, ""));
}

const of = (account: string, count: number, fields: Fields = {}): [string, Fields][] =>
  Array.from({ length: count }, (_, index) => [`${account}${index + 1}`, { account, ...fields }]);

describe("between accounts", () => {
  test.each<[guarantee: string, tickets: [string, Fields?][], order: string]>([
    ["one with many tickets does not hold up one with few", [...of("x", 4), ...of("y", 2)], "x1 y1 x2 y2 x3 x4"],
    ["equal ones take turns, the first that came first", [...of("y", 3), ...of("x", 3)], "y1 x1 y2 x2 y3 x3"],
    ["one of twice the weight has twice the turns", [...of("x", 4, { weight: 2 }), ...of("y", 2)], "x1 y1 x2 x3 y2 x4"],
    ["three share alike", [...of("x", 2), ...of("y", 2), ...of("z", 2)], "x1 y1 z1 x2 y2 z2"],
    [
      "a higher priority comes first, whoever came first",
      [...of("x", 2), ...of("y", 1, { priority: 1 }), ...of("z", 1, { priority: 2 })],
      "z1 y1 x1 x2",
    ],
    ["a lower priority comes last", [...of("x", 2, { priority: -1 }), ...of("y", 2)], "y1 y2 x1 x2"],
    ["a weight of nothing still has its turn", [...of("x", 1, { weight: 0 }), ...of("y", 2)], "x1 y1 y2"],
    [
      "turns are fair within each priority",
      [...of("x", 3, { priority: 1 }), ...of("y", 1, { priority: 1 }), ["z", { account: "z" }]],
      "x1 y1 x2 x3 z",
    ],
  ])("%s", (_guarantee, tickets, order) => {
    expect(served(poolWith(tickets), 10).join(" ")).toBe(order);
  });

  test("one that comes late is not paid for what it did not want before", () => {
    const pool = poolWith(of("x", 6));
    expect(served(pool, 3)).toEqual(["x1", "x2", "x3"]);
    for (const [name, fields] of of("y", 3)) claim(pool, ticket(name, fields), 2, first);
    // Without the queue's virtual time, y would have three turns in a row now.
    expect(served(pool, 6).join(" ")).toBe("y1 x4 y2 x5 y3 x6");
  });

  test("one that comes back at once waits its turn, as if it had never been gone", () => {
    const pool = poolWith([...of("x", 1), ...of("y", 3)]);
    expect(served(pool, 1)).toEqual(["x1"]);
    claim(pool, ticket("x2", { account: "x" }), 2, first);
    expect(served(pool, 4).join(" ")).toBe("y1 y2 x2 y3");
  });

  test("what is withdrawn is not paid for", () => {
    const pool = poolWith([...of("x", 3), ...of("y", 1)]);
    for (const name of ["x1", "x2"]) withdraw(pool, attempt(name), 1, first);
    expect(served(pool, 4).join(" ")).toBe("x3 y1");
  });

  test("what another shard has placed is paid for", () => {
    const pool = poolWith([...of("x", 3), ...of("y", 2)]);
    placedElsewhere(pool, attempt("x1"));
    expect(served(pool, 4).join(" ")).toBe("y1 x2 y2 x3");
  });
});

describe("a node that a ticket may not have", () => {
  const without = (name: string, fields: Fields = {}) => ({ exclude: [name], ...fields });

  test("goes to the next in fair order, and the ticket keeps its turn", () => {
    const pool = poolWith([["x1", without("a", { account: "x" })], ...of("y", 2)]);
    expect(served(pool, 1)).toEqual(["y1"]);
    expect(served(pool, 2, "b")).toEqual(["x1", "y2"]);
  });

  test("goes to a later ticket of the same account", () => {
    const pool = poolWith([["x1", without("a")], ["x2"], ["x3", without("a")]]);
    expect(served(pool, 3)).toEqual(["x2"]);
  });

  test("goes to an account's own next ticket before another account's, when it is that account's turn", () => {
    const pool = poolWith([
      ["x1", without("a", { account: "x" })],
      ...of("y", 1),
      ["x2", { account: "x" }],
      ["x3", without("b", { account: "x" })],
    ]);
    expect(served(pool, 3).join(" ")).toBe("x2 y1 x3");
  });

  test("goes to the first that may have it among many that may not", () => {
    const many = Array.from({ length: lookAheadTickets - 1 }, (_, index): [string, Fields] => [
      `n${index}`,
      without("a"),
    ]);
    expect(served(poolWith([...many, ["late", without("b")]]), 9)).toEqual(["late"]);
  });

  test("is not asked about for ever: behind more than can be asked, one that takes any node has it", () => {
    const many = Array.from({ length: lookAheadTickets }, (_, index): [string, Fields] => [`n${index}`, without("a")]);
    expect(served(poolWith([...many, ["late", without("b")], ["any"]]), 9)).toEqual(["any"]);
  });
});

describe("at the queue's bound", () => {
  test("an account that waits alone may hold all of it, and no more", () => {
    const pool = poolWith(of("x", 5), 4);
    expect(waitingIn(pool)).toHaveLength(4);
    expect(claim(pool, ticket("x6", { account: "x" }), 1, first)).toEqual({ kind: "refuse", code: "queue_full" });
  });

  test("a newcomer takes the place of the newest ticket of the account that holds more than half", () => {
    const pool = poolWith(of("x", 4), 4);
    expect(claim(pool, ticket("y1", { account: "y" }), 1, first)).toEqual({ kind: "wait", displaced: attempt("x4") });
    expect(claim(pool, ticket("z1", { account: "z" }), 1, first)).toEqual({ kind: "wait", displaced: attempt("x3") });
    expect(waitingIn(pool)).toEqual(["x1", "x2", "y1", "z1"].map(attempt));
  });

  test("nobody is displaced once no account holds more than half", () => {
    const pool = poolWith([...of("x", 2), ...of("y", 1), ...of("z", 1)], 4);
    expect(claim(pool, ticket("w1", { account: "w" }), 1, first)).toEqual({ kind: "refuse", code: "queue_full" });
  });

  test("an account that holds half gets no more while another waits, though there is room", () => {
    const pool = poolWith([...of("x", 2), ...of("y", 1)], 4);
    expect(claim(pool, ticket("x3", { account: "x" }), 1, first)).toEqual({ kind: "refuse", code: "queue_full" });
    withdraw(pool, attempt("y1"), 1, first);
    expect(claim(pool, ticket("x3", { account: "x" }), 1, first)).toEqual({ kind: "wait" });
  });

  test("the lowest priority of the account is displaced first, and tasks under way last", () => {
    const under = { exclude: ["a"], isPatient: true };
    const pool = poolWith(
      [["low1", { account: "x", priority: -1 }], ["low2", { account: "x", priority: -1, ...under }], ...of("x", 2)],
      4,
    );
    const displaced = ["y1", "z1"].map((name) => claim(pool, ticket(name, { account: name }), 1, first));
    expect(displaced).toEqual([
      { kind: "wait", displaced: attempt("low1") },
      { kind: "wait", displaced: attempt("x2") },
    ]);
  });

  test("counts are right after everybody was served", () => {
    const pool = poolWith([...of("x", 3), ...of("y", 3)], 10);
    served(pool, 10);
    expect([pool.queue.perAccount.size, pool.queue.classes.length, pool.queue.crowding]).toEqual([0, 0, undefined]);
    expect(pool.queue.expiries.items).toEqual([]);
  });
});

describe("who waits first, as a sibling is asked for them", () => {
  test.each<[guarantee: string, tickets: [string, Fields?][]]>([
    ["is in the order in which they would be served", [...of("x", 4, { weight: 2 }), ...of("y", 3), ...of("z", 2)]],
    ["also by priority", [...of("x", 3), ...of("y", 3, { priority: 3 }), ...of("z", 2, { priority: -8 })]],
    [
      "also where some take not every node",
      [["x1", { account: "x", exclude: ["c"] }], ...of("y", 2), ["x2", { account: "x" }]],
    ],
  ])("%s", (_guarantee, tickets) => {
    const pool = poolWith(tickets);
    const names = firstWaiting(pool, 5).map(({ attemptId }) => attemptId);
    expect(names).toEqual(served(pool, 5).map(attempt));
  });

  test("leaves the queue as it was", () => {
    const pool = poolWith([...of("x", 3), ...of("y", 3)]);
    expect(firstWaiting(pool, 4)).toEqual(firstWaiting(pool, 4));
    expect(firstWaiting(pool, 99)).toHaveLength(6);
    expect(served(pool, 6).join(" ")).toBe("x1 y1 x2 y2 x3 y3");
  });
});

test("an account is forgotten when nobody waits any more", () => {
  const pool = poolWith(of("x", 2));
  served(pool, 2);
  expect(pool.queue.perAccount.get(account("x"))).toBeUndefined();
  for (const [name, fields] of [...of("x", 1), ...of("y", 1)]) claim(pool, ticket(`${name}b`, fields), 2, first);
  expect(served(pool, 2)).toEqual(["x1b", "y1b"]);
});
