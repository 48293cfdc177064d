import { describe, expect, test } from "vitest";
import type { AccountId, AttemptId } from "../ids.ts";
import { pick, seededRandom } from "../testing/seeded-random.ts";
import { claim, type NodePool, offer, withdraw } from "./node-pool.ts";
import { account, first, node, poolOf, ticket, word } from "./pool.fixture.ts";

/** Who waits, and by how many turns, each over its account's weight, two accounts came apart while both waited. */
class Ledger {
  readonly waiting = new Map<AccountId, AttemptId[]>();
  readonly turns = new Map<AccountId, number>();
  readonly #spans = new Map<string, { least: number; most: number }>();
  readonly #weights: ReadonlyMap<AccountId, number>;
  /** The most by which any two came further apart than the bound allows; below 0 where none did. */
  worst = Number.NEGATIVE_INFINITY;

  constructor(weights: ReadonlyMap<AccountId, number>) {
    this.#weights = weights;
    for (const id of weights.keys()) {
      this.waiting.set(id, []);
      this.turns.set(id, 0);
    }
  }

  weightOf(id: AccountId): number {
    return this.#weights.get(id) ?? 1;
  }

  ownerOf(attemptId: AttemptId): AccountId {
    const owner = [...this.waiting].find(([, attempts]) => attempts.includes(attemptId))?.[0];
    if (owner === undefined) throw new Error(`${attemptId} does not wait`);
    return owner;
  }

  gone(attemptId: AttemptId): void {
    const owner = this.ownerOf(attemptId);
    this.waiting.set(
      owner,
      (this.waiting.get(owner) ?? []).filter((each) => each !== attemptId),
    );
  }

  served(attemptId: AttemptId): void {
    const owner = this.ownerOf(attemptId);
    this.turns.set(owner, (this.turns.get(owner) ?? 0) + 1 / this.weightOf(owner));
    this.note();
    this.gone(attemptId);
    this.note();
  }

  /** To be called at every change: a span ends when either of two waits no more. */
  note(): void {
    const ids = [...this.waiting.keys()];
    for (const [index, one] of ids.entries()) {
      for (const other of ids.slice(0, index)) {
        const name = `${one} ${other}`;
        const isBoth = [one, other].every((id) => (this.waiting.get(id) ?? []).length > 0);
        if (!isBoth) this.#spans.delete(name);
        else {
          const apart = (this.turns.get(one) ?? 0) - (this.turns.get(other) ?? 0);
          const span = this.#spans.get(name) ?? { least: apart, most: apart };
          const wider = { least: Math.min(span.least, apart), most: Math.max(span.most, apart) };
          this.#spans.set(name, wider);
          const bound = 1 / this.weightOf(one) + 1 / this.weightOf(other);
          this.worst = Math.max(this.worst, wider.most - wider.least - bound);
        }
      }
    }
  }
}

/** Random claims, withdrawals and places among accounts of these weights. `serve` gives one place. */
function walk(seed: number, weights: readonly number[], serve: (pool: NodePool) => AttemptId | undefined): Ledger {
  const random = seededRandom(seed);
  const pool = poolOf({ a: 0 }, { tickets: 10_000, claimMs: 1e9, silentMs: 1e9 });
  const names = weights.map((_, index) => `acc${index}`);
  const ledger = new Ledger(new Map(names.map((name, index) => [account(name), weights[index] ?? 1])));
  for (let step = 0; step < 600; step += 1) {
    const action = random();
    if (action < 0.5) {
      const name = pick(names, random);
      const wanted = ticket(`t${step}`, { account: name, weight: ledger.weightOf(account(name)), expiresAtMs: 1e9 });
      // A place that nobody wanted is there for the first who comes.
      if (claim(pool, wanted, 1, first).kind === "wait") ledger.waiting.get(account(name))?.push(wanted.attemptId);
    } else if (action < 0.55) {
      const attempts = [...ledger.waiting.values()].flat();
      if (attempts.length > 0) {
        const attemptId = pick(attempts, random);
        withdraw(pool, attemptId, 1, first);
        ledger.gone(attemptId);
      }
    } else {
      const attemptId = serve(pool);
      if (attemptId !== undefined) ledger.served(attemptId);
    }
    ledger.note();
  }
  return ledger;
}

/** One place more, to whom the pool gives it. */
function serveFair(pool: NodePool): AttemptId | undefined {
  const claimed = pool.members.byId.get(node("a"))?.claimed ?? 0;
  return offer(pool, word("a", claimed + 1, { slots: 100_000 }), 1, first)[0]?.attemptId;
}

/** One place more, to who came first. */
function serveFirst(pool: NodePool): AttemptId | undefined {
  const [oldest] = pool.queue.byAttempt.keys();
  if (oldest !== undefined) withdraw(pool, oldest, 1, first);
  return oldest;
}

const seeds = Array.from({ length: 20 }, (_, index) => index + 1);
const mixes = [
  [1, 1],
  [1, 2],
  [1, 1, 1, 1],
  [5, 1, 0.5],
  [3, 2, 7, 1, 1],
] as const;

/**
 * Start-time fair queueing keeps the turns of two accounts, each over its weight, within 1 ÷ weight + 1 ÷ weight of each
 * other over any time in which both wait (Goyal, Vin & Cheng 1996, theorem 1). A little is left to rounding.
 */
describe("while two accounts wait, neither gets ahead by more than a turn of each", () => {
  test.each(mixes.map((weights) => ({ weights })))("with weights $weights", ({ weights }) => {
    for (const seed of seeds) expect(walk(seed, weights, serveFair).worst).toBeLessThan(1e-9);
  });

  test("which serving in the order of coming does not keep", () => {
    expect(Math.max(...seeds.map((seed) => walk(seed, [1, 1], serveFirst).worst))).toBeGreaterThan(1);
  });
});
