import { describe, expect, test } from "vitest";
import type { AttemptId, NodeId } from "../ids.ts";
import { pick, seededRandom } from "../testing/seeded-random.ts";
import {
  claim,
  claimNow,
  emptyPool,
  expire,
  leave,
  nextExpiryMs,
  offer,
  placedElsewhere,
  withdraw,
} from "./node-pool.ts";
import { attempt, node, ticket, word } from "./pool.fixture.ts";
import type { Ticket } from "./ticket.ts";
import { emptyTicketQueue } from "./ticket-queue.ts";
import { Witness } from "./witness.fixture.ts";

const limits = { tickets: 6, claimMs: 400, silentMs: 3_000 };
const steps = 300;
const seeds = Array.from({ length: 100 }, (_, index) => index + 1);
const nodes = ["a", "b", "c", "d", "e"];
/** One asks more than the others, so that it crowds the queue now and then. */
const accounts = ["x", "x", "x", "x", "y", "z"];

/** The pool's functions, so that a mistake can be slipped in. */
interface Operations {
  claim: typeof claim;
  claimNow: typeof claimNow;
  offer: typeof offer;
  leave: typeof leave;
  withdraw: typeof withdraw;
  expire: typeof expire;
}
const honest: Operations = { claim, claimNow, offer, leave, withdraw, expire };

/** Random offers, claims, ends and silences; returns what the witness found, and how much was given out. */
function walk(seed: number, operations: Operations): Witness {
  const random = seededRandom(seed);
  const pool = emptyPool(limits);
  const witness = new Witness(limits);
  const whole = (bound: number) => Math.floor(random() * bound);
  const some = (share: number) => nodes.filter(() => random() < share);
  const known: AttemptId[] = [];
  let nowMs = 0;

  function newTicket(): Ticket {
    const name = String(known.length);
    known.push(attempt(name));
    return ticket(name, {
      account: pick(accounts, random),
      priority: random() < 0.2 ? whole(3) - 1 : 0,
      exclude: random() < 0.4 ? some(0.4) : [],
      avoid: random() < 0.4 ? some(0.4) : [],
      affinity: random() < 0.5 ? `talk ${whole(5)}` : null,
      isPatient: random() < 0.3,
      expiresAtMs: nowMs + 1 + whole(1_500),
    });
  }

  const actions: Record<"offer" | "claim" | "claimNow" | "leave" | "withdraw" | "elsewhere" | "pass", () => void> = {
    offer: () => {
      const nodeId: NodeId = node(pick(nodes, random));
      const taken = [...witness.claims].filter(([, held]) => held.nodeId === nodeId && random() < 0.7);
      const said = {
        ...word(nodeId.slice("node_".length), whole(4), {
          firstTokenMs: random() < 0.5 ? null : whole(1_000),
          asideUntilMs: random() < 0.3 ? nowMs + whole(2_000) : 0,
        }),
        taken: taken.map(([attemptId]) => attemptId),
      };
      witness.heard(said);
      witness.settle(operations.offer(pool, said, nowMs, random));
    },
    claim: () => {
      const wanted = newTicket();
      witness.claimed(wanted, operations.claim(pool, wanted, nowMs, random));
    },
    claimNow: () => {
      const wanted = newTicket();
      const placement = operations.claimNow(pool, wanted, nowMs, random, { isLastResort: true });
      if (placement.kind === "lease") witness.lease(wanted, placement.nodeId);
      else
        witness.check(
          (placement.code === "no_live_node") === (witness.candidates(wanted).length === 0),
          "a sibling was told the wrong thing",
        );
    },
    leave: () => {
      const nodeId = node(pick(nodes, random));
      witness.gone(nodeId);
      witness.settle(operations.leave(pool, nodeId, nowMs, random));
    },
    withdraw: () => {
      if (known.length === 0) return;
      const attemptId = pick(known.slice(-12), random);
      witness.waiting.delete(attemptId);
      witness.claims.delete(attemptId);
      witness.settle(operations.withdraw(pool, attemptId, nowMs, random));
    },
    elsewhere: () => {
      if (known.length === 0) return;
      const attemptId = pick(known.slice(-12), random);
      witness.check(placedElsewhere(pool, attemptId) === witness.waiting.delete(attemptId), "a sibling served nobody");
    },
    pass: () => {
      nowMs += whole(500);
      witness.pass(nowMs);
      witness.settle(operations.expire(pool, nowMs, random));
      witness.check(
        (nextExpiryMs(pool) ?? Number.POSITIVE_INFINITY) > nowMs,
        "time has settled something and does not say so",
      );
    },
  };
  const { offer: offers, claim: claims, ...others } = actions;
  const weighted = [...Object.values(others), offers, offers, offers, ...new Array<() => void>(7).fill(claims)];
  for (let step = 0; step < steps; step += 1) {
    pick(weighted, random)();
    witness.compare(pool);
  }
  return witness;
}

describe("whatever nodes and callers do", () => {
  test("no guarantee of a pool breaks", () => {
    const faults = seeds.flatMap((seed) => [...walk(seed, honest).faults].map((fault) => `seed ${seed}: ${fault}`));
    expect(faults).toEqual([]);
  });

  test("the walks give out work and fill queues, so they tried something", () => {
    const walks = seeds.slice(0, 20).map((seed) => walk(seed, honest));
    for (const { leases } of walks) expect(leases).toBeGreaterThan(20);
    expect(walks.reduce((sum, { displaced }) => sum + displaced, 0)).toBeGreaterThan(10);
  });
});

/** Pools with one mistake each, which the witness must find: else the walk above would prove nothing. */
const mistakes: readonly [mistake: string, operations: Operations, fault: string][] = [
  [
    "credits given twice",
    {
      ...honest,
      claim: (pool, ticket, nowMs, random) => {
        const placement = claim(pool, ticket, nowMs, random);
        if (placement.kind === "lease") withdraw(pool, ticket.attemptId, nowMs, random);
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
    "wishes to avoid a node ignored",
    {
      ...honest,
      claim: (pool, ticket, nowMs, random) => claim(pool, { ...ticket, avoid: new Set() }, nowMs, random),
    },
    "a lease went to a last resort too early",
  ],
  [
    "nodes put aside as good as any",
    {
      ...honest,
      offer: (pool, word, nowMs, random) => offer(pool, { ...word, asideUntilMs: 0 }, nowMs, random),
    },
    "a lease went to a last resort too early",
  ],
  [
    "priorities ignored",
    {
      ...honest,
      claim: (pool, ticket, nowMs, random) => claim(pool, { ...ticket, priority: 0 }, nowMs, random),
    },
    "a higher priority was overtaken",
  ],
  [
    "a ticket forgotten",
    {
      ...honest,
      leave: (pool, nodeId, nowMs, random) => {
        const [oldest] = pool.queue.byAttempt.keys();
        if (oldest !== undefined) withdraw(pool, oldest, nowMs, random);
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
      claim: (pool, ticket, nowMs, random) =>
        claim({ ...pool, limits: { ...limits, tickets: 99 } }, ticket, nowMs, random),
    },
    "the queue is past its bound",
  ],
  [
    "room that nobody who waits is given",
    {
      ...honest,
      offer: (pool, word, nowMs, random) => offer({ ...pool, queue: emptyTicketQueue() }, word, nowMs, random),
    },
    "a ticket waits while a node is free",
  ],
];
test.each(mistakes)("the witness would find %s", (_mistake, operations, fault) => {
  expect(seeds.some((seed) => walk(seed, operations).faults.has(fault))).toBe(true);
});
