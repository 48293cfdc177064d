import { describe, expect, test } from "vitest";
import { type AttemptId, attemptIdSchema, type NodeId, nodeIdSchema } from "../ids.ts";
import { pick, seededRandom } from "../testing/seeded-random.ts";
import {
  claim,
  emptyPool,
  expire,
  leave,
  type NodePool,
  offer,
  roomOf,
  type Settled,
  type Ticket,
  withdraw,
} from "./node-pool.ts";

const limits = { tickets: 6, claimMs: 400, silentMs: 3_000 };
const steps = 250;
const seeds = Array.from({ length: 120 }, (_, index) => index + 1);
const nodes = ["a", "b", "c", "d"].map((name) => nodeIdSchema.parse(`node_000${name}`));

/** The pool's functions, so that a mistake can be slipped in. */
interface Operations {
  claim: typeof claim;
  offer: typeof offer;
  leave: typeof leave;
  withdraw: typeof withdraw;
  expire: typeof expire;
}
const honest: Operations = { claim, offer, leave, withdraw, expire };

/** What the simulation knows by itself, from what it told the pool and what the pool answered. */
class Witness {
  readonly faults: string[] = [];
  readonly members = new Map<NodeId, { free: number; heardAtMs: number }>();
  readonly claims = new Map<AttemptId, { nodeId: NodeId; atMs: number }>();
  readonly waiting = new Map<AttemptId, Ticket>();
  leases = 0;

  check(holds: boolean, fault: string): void {
    if (!holds) this.faults.push(fault);
  }

  forget(nowMs: number): void {
    for (const [id, { atMs }] of this.claims) if (atMs + limits.claimMs <= nowMs) this.claims.delete(id);
    for (const [id, { heardAtMs }] of this.members) if (heardAtMs + limits.silentMs <= nowMs) this.members.delete(id);
  }

  leave(nodeId: NodeId): void {
    this.members.delete(nodeId);
    for (const [attemptId, held] of this.claims) if (held.nodeId === nodeId) this.claims.delete(attemptId);
  }

  room(nodeId: NodeId): number {
    const claimed = [...this.claims.values()].filter((held) => held.nodeId === nodeId).length;
    return (this.members.get(nodeId)?.free ?? 0) - claimed;
  }

  candidates(ticket: Ticket): NodeId[] {
    return [...this.members.keys()].filter((nodeId) => !ticket.exclude.has(nodeId));
  }

  lease(ticket: Ticket, nodeId: NodeId, nowMs: number): void {
    this.leases += 1;
    this.check(this.members.has(nodeId), "a lease went to a node that is not there");
    this.check(!ticket.exclude.has(nodeId), "a lease went to an excluded node");
    this.check(this.room(nodeId) > 0, "a lease went past the free credits");
    for (const other of this.waiting.values()) {
      if (other.attemptId === ticket.attemptId) break;
      this.check(other.exclude.has(nodeId), "a ticket was overtaken");
    }
    this.claims.set(ticket.attemptId, { nodeId, atMs: nowMs });
  }

  settle(settled: readonly Settled[], nowMs: number): void {
    for (const outcome of settled) {
      const ticket = this.waiting.get(outcome.attemptId);
      this.check(ticket !== undefined, "a ticket was settled that does not wait");
      if (ticket === undefined) continue;
      if (outcome.kind === "lease") this.lease(ticket, outcome.nodeId, nowMs);
      else if (outcome.code === "no_free_node") this.check(ticket.expiresAtMs <= nowMs, "a ticket ended too early");
      else this.check(this.candidates(ticket).length === 0, "a ticket with live nodes was told that there are none");
      this.waiting.delete(outcome.attemptId);
    }
    for (const ticket of this.waiting.values()) {
      this.check(ticket.expiresAtMs > nowMs, "a ticket waits past its time");
      this.check(this.candidates(ticket).length > 0, "a ticket waits for nobody");
      this.check(
        this.candidates(ticket).every((nodeId) => this.room(nodeId) <= 0),
        "a ticket waits while a node is free",
      );
    }
  }

  compare(pool: NodePool): void {
    this.check([...pool.tickets.keys()].join() === [...this.waiting.keys()].join(), "the queue is not who waits");
    this.check(pool.tickets.size <= limits.tickets, "the queue is past its bound");
    for (const { nodeId, free } of roomOf(pool)) {
      this.check(free === this.room(nodeId), "the pool counts a node's room wrongly");
    }
  }
}

/** Random offers, claims, ends and silences; returns what the witness found, and how much was given out. */
function simulate(seed: number, operations: Operations): { faults: string[]; leases: number } {
  const random = seededRandom(seed);
  const pool = emptyPool(limits);
  const witness = new Witness();
  const whole = (bound: number) => Math.floor(random() * bound);
  const known: AttemptId[] = [];
  let nowMs = 0;

  const actions: readonly (() => void)[] = [
    () => {
      const nodeId = pick(nodes, random);
      const taken = [...witness.claims]
        .filter(([, held]) => held.nodeId === nodeId && random() < 0.7)
        .map(([id]) => id);
      const free = whole(4);
      for (const attemptId of taken) witness.claims.delete(attemptId);
      witness.members.set(nodeId, { free, heardAtMs: nowMs });
      witness.forget(nowMs);
      witness.settle(operations.offer(pool, { nodeId, slots: 4, free, taken }, nowMs, random), nowMs);
    },
    () => {
      const attemptId = attemptIdSchema.parse(`attempt_${String(known.length).padStart(4, "0")}`);
      known.push(attemptId);
      const exclude = new Set(nodes.filter(() => random() < 0.3));
      const ticket: Ticket = { attemptId, exclude, expiresAtMs: nowMs + 1 + whole(1_500) };
      witness.forget(nowMs);
      const placement = operations.claim(pool, ticket, nowMs, random);
      if (placement.kind === "lease") witness.lease(ticket, placement.nodeId, nowMs);
      else if (placement.kind === "wait") {
        witness.check(witness.candidates(ticket).length > 0, "a ticket was taken that nobody can serve");
        const isFree = (nodeId: NodeId) =>
          witness.room(nodeId) > 0 && [...witness.waiting.values()].every((other) => other.exclude.has(nodeId));
        witness.check(!witness.candidates(ticket).some(isFree), "a claim waits while a node is free for it alone");
        witness.waiting.set(attemptId, ticket);
      } else if (placement.code === "no_live_node") {
        witness.check(witness.candidates(ticket).length === 0, "a claim with live nodes was told that there are none");
      } else witness.check(witness.waiting.size >= limits.tickets, "the queue was called full too early");
    },
    () => {
      const nodeId = pick(nodes, random);
      witness.leave(nodeId);
      witness.forget(nowMs);
      witness.settle(operations.leave(pool, nodeId, nowMs, random), nowMs);
    },
    () => {
      if (known.length === 0) return;
      const attemptId = pick(known, random);
      witness.waiting.delete(attemptId);
      witness.claims.delete(attemptId);
      witness.forget(nowMs);
      witness.settle(operations.withdraw(pool, attemptId, nowMs, random), nowMs);
    },
    () => {
      nowMs += whole(500);
      witness.forget(nowMs);
      witness.settle(operations.expire(pool, nowMs, random), nowMs);
    },
  ];
  const [offers, claims] = [actions.slice(0, 1), actions.slice(1, 2)];
  const weighted = [...actions, ...offers, ...offers, ...claims, ...claims, ...claims];
  for (let step = 0; step < steps; step += 1) {
    pick(weighted, random)();
    witness.compare(pool);
  }
  return { faults: [...new Set(witness.faults)], leases: witness.leases };
}

describe("whatever nodes and callers do", () => {
  test("no guarantee of a pool breaks", () => {
    const faults = seeds.flatMap((seed) => simulate(seed, honest).faults.map((fault) => `seed ${seed}: ${fault}`));
    expect(faults).toEqual([]);
  });

  test("the runs give out work, so they tried something", () => {
    for (const seed of seeds.slice(0, 10)) expect(simulate(seed, honest).leases).toBeGreaterThan(20);
  });
});

/** Pools with one mistake each, which the witness must find: else the run above would prove nothing. */
const mistakes: readonly [mistake: string, operations: Operations, fault: string][] = [
  [
    "credits given twice",
    {
      ...honest,
      claim: (pool, ticket, nowMs, random) => {
        const placement = claim(pool, ticket, nowMs, random);
        if (placement.kind === "lease") pool.claims.delete(ticket.attemptId);
        return placement;
      },
    },
    "a lease went past the free credits",
  ],
  [
    "exclusions ignored",
    {
      ...honest,
      claim: (pool, ticket, nowMs, random) => claim(pool, { ...ticket, exclude: new Set() }, nowMs, random),
    },
    "a lease went to an excluded node",
  ],
  [
    "a queue served from its end",
    {
      ...honest,
      offer: (pool, word, nowMs, random) => {
        const turned = [...pool.tickets].toReversed();
        pool.tickets.clear();
        for (const [attemptId, ticket] of turned) pool.tickets.set(attemptId, ticket);
        return offer(pool, word, nowMs, random);
      },
    },
    "a ticket was overtaken",
  ],
  [
    "a ticket forgotten",
    {
      ...honest,
      leave: (pool, nodeId, nowMs, random) => {
        pool.tickets.delete([...pool.tickets.keys()][0] ?? attemptIdSchema.parse("attempt_none"));
        return leave(pool, nodeId, nowMs, random);
      },
    },
    "the queue is not who waits",
  ],
  ["time that settles nothing", { ...honest, expire: () => [] }, "a ticket waits past its time"],
  [
    "a queue without a bound",
    {
      ...honest,
      claim: (pool, ticket, nowMs, random) => {
        const placement = claim(pool, ticket, nowMs, random);
        if (placement.kind !== "refuse" || placement.code !== "queue_full") return placement;
        pool.tickets.set(ticket.attemptId, ticket);
        return { kind: "wait" };
      },
    },
    "the queue is past its bound",
  ],
];
test.each(mistakes)("the witness would find %s", (_mistake, operations, fault) => {
  expect(seeds.flatMap((seed) => simulate(seed, operations).faults)).toContain(fault);
});
