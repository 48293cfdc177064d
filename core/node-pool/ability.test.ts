import { expect, test } from "vitest";
import { type AccountId, accountIdSchema, attemptIdSchema, type NodeId, nodeIdSchema } from "../ids.ts";
import { type Ability, isCheckable } from "./ability.ts";
import { claim, emptyPool, leave, offer } from "./node-pool.ts";
import type { Ticket } from "./ticket.ts";

const node = (name: string): NodeId => nodeIdSchema.parse(`node_000${name}`);
const operator = (name: string): AccountId => accountIdSchema.parse(`acct${name}`);

type Told = readonly [name: string, operator: string, ability?: Ability];

/** A pool of these members, each with one free slot. */
function poolOf(members: readonly Told[]) {
  const pool = emptyPool({ tickets: 10, claimMs: 5_000, silentMs: 90_000 });
  for (const [name, whose, ability] of members) {
    const room = { slots: 1, free: 1, tokensPerSecond: 10, firstTokenMs: null, asideUntilMs: 0, taken: [] };
    offer(pool, { nodeId: node(name), ...room, operator: operator(whose), ability }, 0, () => 0);
  }
  return pool;
}

function ticket(fields: Partial<Ticket>): Ticket {
  return {
    attemptId: attemptIdSchema.parse("attempt_0001"),
    accountId: operator("x"),
    ...{ exclude: new Set(), avoid: new Set(), affinity: null, isPatient: false, expiresAtMs: 30_000 },
    ...fields,
  };
}

test.each<[guarantee: string, members: Told[], fields: Partial<Ticket>, nodeName: string | null]>([
  [
    "an excluded operator's nodes get nothing",
    [
      ["1", "a"],
      ["2", "b"],
    ],
    { excludeOperators: new Set([operator("a")]) },
    "2",
  ],
  [
    "nobody is left where all are one operator's",
    [
      ["1", "a"],
      ["2", "a"],
    ],
    { excludeOperators: new Set([operator("a")]) },
    null,
  ],
  [
    "what cannot be checked does not go to who needs it",
    [
      ["1", "a", "own"],
      ["2", "b", "verifiable"],
    ],
    { needs: "verifiable" },
    "2",
  ],
  [
    "who may not check others is no validator",
    [
      ["1", "a", "verifiable"],
      ["2", "b", "validator"],
    ],
    { needs: "validator" },
    "2",
  ],
  [
    "one that is named, of an operator that is named, counts once",
    [
      ["1", "a"],
      ["2", "b"],
    ],
    { exclude: new Set([node("1")]), excludeOperators: new Set([operator("a")]) },
    "2",
  ],
  [
    "what reads the probabilities of a prompt is no validator of all answers",
    [
      ["1", "a", "plainValidator"],
      ["2", "b", "validator"],
    ],
    { needs: "validator" },
    "2",
  ],
  [
    "it is one of those that a server's own sampler chose",
    [
      ["1", "a", "own"],
      ["2", "b", "verifiable"],
      ["3", "c", "plainValidator"],
    ],
    { needs: "plainValidator" },
    "3",
  ],
  [
    "who checks all answers checks these too",
    [
      ["1", "a", "own"],
      ["2", "b", "validator"],
    ],
    { needs: "plainValidator" },
    "2",
  ],
  [
    "its own answers cannot be checked at any temperature",
    [
      ["1", "a", "plainValidator"],
      ["2", "b", "verifiable"],
    ],
    { needs: "verifiable" },
    "2",
  ],
  ["nobody is left where none is able", [["1", "a", "own"]], { needs: "validator" }, null],
])("%s", (_guarantee, members, fields, nodeName) => {
  const expected =
    nodeName === null ? { kind: "refuse", code: "no_live_node" } : { kind: "lease", nodeId: node(nodeName) };
  expect(claim(poolOf(members), ticket(fields), 1, () => 0)).toEqual(expected);
});

test("a ticket that waits for another operator's node gets it when it comes, and not one of its own", () => {
  const pool = poolOf([
    ["1", "a"],
    ["2", "b"],
  ]);
  const room = { slots: 1, tokensPerSecond: 10, firstTokenMs: null, asideUntilMs: 0, taken: [] };
  offer(pool, { nodeId: node("2"), ...room, free: 0, operator: operator("b") }, 1, () => 0);
  expect(claim(pool, ticket({ excludeOperators: new Set([operator("a")]) }), 2, () => 0)).toEqual({ kind: "wait" });
  expect(offer(pool, { nodeId: node("3"), ...room, free: 1, operator: operator("a") }, 3, () => 0)).toEqual([]);
  const [settled] = offer(pool, { nodeId: node("2"), ...room, free: 1, operator: operator("b") }, 4, () => 0);
  expect(settled).toMatchObject({ kind: "lease", nodeId: node("2") });
});

test("it is sent away when the last such node leaves", () => {
  const pool = poolOf([
    ["1", "a"],
    ["2", "b"],
  ]);
  const room = { slots: 1, tokensPerSecond: 10, firstTokenMs: null, asideUntilMs: 0, taken: [] };
  offer(pool, { nodeId: node("2"), ...room, free: 0, operator: operator("b") }, 1, () => 0);
  claim(pool, ticket({ excludeOperators: new Set([operator("a")]) }), 2, () => 0);
  const [settled] = leave(pool, node("2"), 3, () => 0);
  expect(settled).toMatchObject({ kind: "refuse", code: "no_live_node" });
});

test.each<[guarantee: string, members: Told[], isSo: boolean]>([
  [
    "two operators can check each other",
    [
      ["1", "a"],
      ["2", "b"],
    ],
    true,
  ],
  [
    "one operator cannot",
    [
      ["1", "a"],
      ["2", "a"],
    ],
    false,
  ],
  [
    "a validator and one whose answers can be checked suffice",
    [
      ["1", "a", "verifiable"],
      ["2", "b"],
    ],
    true,
  ],
  [
    "without a validator nobody can",
    [
      ["1", "a", "verifiable"],
      ["2", "b", "verifiable"],
    ],
    false,
  ],
  [
    "answers that nobody can check are not checked",
    [
      ["1", "a", "own"],
      ["2", "b"],
    ],
    false,
  ],
])("%s", (_guarantee, members, isSo) => {
  expect(isCheckable(poolOf(members).members)).toBe(isSo);
});
