import { describe, expect, test } from "vitest";
import {
  claim,
  claimNow,
  emptyPool,
  expire,
  firstWaiting,
  leave,
  type NodePool,
  nextExpiryMs,
  offer,
  withdraw,
} from "./node-pool.ts";
import { attempt, first, node, ticket, word } from "./pool.fixture.ts";
import { standingOf } from "./standing.ts";
import { counted } from "./touches.fixture.ts";

const sizes = [10, 10_000];
const half = () => 0.5;

interface Shape {
  nodes: number;
  free: number;
  tickets: number;
}

/** Nodes with so much room each, and tickets that wait: of many accounts, two priorities, some with exclusions. */
function poolLike({ nodes, free, tickets }: Shape): NodePool {
  const pool = emptyPool({ tickets: 20_000, claimMs: 1_000, silentMs: 90_000 });
  for (let index = 0; index < nodes; index += 1) {
    offer(pool, word(`n${index}`, 0, { asideUntilMs: index % 10 === 9 ? 9_000 + index : 0 }), index / nodes, first);
  }
  for (let index = 0; index < tickets; index += 1) {
    const exclude = index % 7 === 0 ? ["n0", "n1"] : [];
    claim(
      pool,
      ticket(`t${index}`, {
        account: `acc${index % 97}`,
        priority: index % 2,
        exclude,
        expiresAtMs: 5_000 + ((index * 7) % 1_000),
      }),
      1,
      first,
    );
  }
  if (free > 0) for (let index = 0; index < nodes; index += 1) offer(pool, word(`n${index}`, free), 2, first);
  return pool;
}

const steps: readonly [step: string, shape: Omit<Shape, "nodes">, act: (pool: NodePool) => unknown][] = [
  ["a claim that gets a node", { free: 2, tickets: 0 }, (pool) => claim(pool, ticket("new"), 3, half)],
  [
    "a claim that excludes and avoids some",
    { free: 2, tickets: 0 },
    (pool) => claim(pool, ticket("new", { exclude: ["n1", "n2"], avoid: ["n3"] }), 3, half),
  ],
  [
    "a claim of a known conversation",
    { free: 2, tickets: 0 },
    (pool) => claim(pool, ticket("new", { affinity: "talk" }), 3, half),
  ],
  ["a claim that must wait", { free: 0, tickets: 1 }, (pool) => claim(pool, ticket("new"), 3, half)],
  ["a claim that will not wait", { free: 0, tickets: 1 }, (pool) => claimNow(pool, ticket("new"), 3, half)],
  ["a node's word, where nobody waits", { free: 1, tickets: 0 }, (pool) => offer(pool, word("n5", 3), 3, half)],
  [
    "a node's word that serves two of who waits",
    { free: 0, tickets: 50 },
    (pool) => offer(pool, word("n5", 2), 3, half),
  ],
  ["a node's joining", { free: 1, tickets: 0 }, (pool) => offer(pool, word("more", 3), 3, half)],
  [
    "a node that is put aside",
    { free: 0, tickets: 9 },
    (pool) => offer(pool, word("n5", 0, { asideUntilMs: 9_500 }), 3, half),
  ],
  ["a node's leaving", { free: 0, tickets: 50 }, (pool) => leave(pool, node("n5"), 3, half)],
  ["a ticket's withdrawal", { free: 0, tickets: 50 }, (pool) => withdraw(pool, attempt("t7"), 3, half)],
  ["time that settles nothing", { free: 0, tickets: 50 }, (pool) => expire(pool, 3, half)],
  ["asking when time settles something", { free: 0, tickets: 50 }, (pool) => nextExpiryMs(pool)],
  ["asking who waits first", { free: 0, tickets: 50 }, (pool) => firstWaiting(pool, 16)],
  ["asking why a node gets no work", { free: 0, tickets: 50 }, (pool) => standingOf(pool, node("n5"), 3)],
];

/** What one step touches in a pool of this shape. */
function touchesOf(act: (pool: NodePool) => unknown, shape: Shape): number {
  const touches = { count: 0 };
  const pool = counted(poolLike(shape), touches);
  act(pool);
  return touches.count;
}

describe("costs as much among ten thousand nodes as among ten", () => {
  test.each(steps)("%s", (_step, shape, act) => {
    const [least = 0, ...others] = sizes.map((nodes) => touchesOf(act, { nodes, ...shape }));
    expect(least).toBeGreaterThan(0);
    // The heap of those put aside grows with the pool: two touches or three at each of its levels.
    for (const count of others) expect(count).toBeLessThanOrEqual(least + 40);
  });
});

describe("costs little more with ten thousand tickets than with a hundred", () => {
  test.each(steps.filter(([, { tickets }]) => tickets > 0))("%s", (_step, { free }, act) => {
    const [few = 0, many = 0] = [100, 10_000].map((tickets) => touchesOf(act, { nodes: 50, free, tickets }));
    // A heap of a hundred times as many has seven levels more.
    expect(many).toBeLessThan(3 * few);
  });
});

test("a step that searched through the members would be seen", () => {
  const search = (pool: NodePool) => [...pool.members.byId.values()].some(({ isGuess }) => isGuess);
  const [few = 0, many = 0] = [10, 10_000].map((nodes) => touchesOf(search, { nodes, free: 0, tickets: 0 }));
  expect(many).toBeGreaterThan(100 * few);
});
