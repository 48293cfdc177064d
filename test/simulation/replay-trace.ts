import { nodeIdSchema } from "../../core/ids.ts";
import { LeaseBook } from "../../core/lease/lease-book.ts";
import { limits } from "../../core/limits.ts";
import {
  claim,
  claimNow,
  emptyPool,
  expire,
  leave,
  type NodePool,
  offer,
  placedElsewhere,
  recall,
  type Settled,
  withdraw,
} from "../../core/node-pool/node-pool.ts";
import { seededRandom } from "../../core/testing/seeded-random.ts";
import type { LeaseInput } from "../../core/trace/lease-input.ts";
import { type PoolInput, ticketOfTrace } from "../../core/trace/pool-input.ts";
import type { TraceEntry } from "../../core/trace/trace.ts";
import { tellBook } from "../../core/trace/traced-lease-book.ts";
import { holds, Violation } from "./ground.ts";
import { LeaseWitness } from "./lease-witness.ts";
import { PoolWitness } from "./pool-witness.ts";

/** What came of a trace: how much was told again, and what did not hold, with the entry that showed it. */
export interface ReplayReport {
  entries: number;
  objects: number;
  violation: { checker: string; message: string; entry: number } | undefined;
}

/**
 * Tells the present code everything that the objects of a trace were told, in order, with the checkers of the simulator
 * on. A trace may begin anywhere: what speaks of something before its beginning means nothing to the core either.
 */
export function replayTrace(entries: readonly TraceEntry[]): ReplayReport {
  const nodes = new Map<string, NodeReplay>();
  const pools = new Map<string, PoolReplay>();
  for (const [index, entry] of entries.entries()) {
    try {
      if (entry.object === "node") {
        const replay = entry.input.type === "recover" ? undefined : nodes.get(entry.name);
        if (replay === undefined) nodes.set(entry.name, new NodeReplay(entry.name, entry.input, entry.atMs));
        else replay.tell(entry.input, entry.atMs);
      } else {
        const replay = pools.get(entry.name) ?? new PoolReplay(entry.name);
        pools.set(entry.name, replay);
        replay.tell(entry.input, entry.atMs, entry.draws);
      }
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const checker = error instanceof Violation ? error.checker : "nothing throws";
      return {
        entries: index + 1,
        objects: nodes.size + pools.size,
        violation: { checker, message, entry: index + 1 },
      };
    }
  }
  return { entries: entries.length, objects: nodes.size + pools.size, violation: undefined };
}

/** One node's object from one of its resets on. */
class NodeReplay {
  readonly #book: LeaseBook;
  readonly #witness: LeaseWitness;

  constructor(name: string, first: LeaseInput, nowMs: number) {
    const hasSocket = first.type !== "recover" || first.hasSocket;
    this.#book = new LeaseBook(nodeIdSchema.parse(name), { hasSocket });
    this.#witness = new LeaseWitness(name, { hasSocket });
    if (first.type === "recover") this.#book.recover(first, nowMs);
    else this.tell(first, nowMs);
  }

  tell(input: LeaseInput, nowMs: number): void {
    if (input.type === "recover") throw new Error("an object is made once");
    if (input.type === "open") this.#witness.opened(input.terms.attemptId);
    if (input.type === "welcome") this.#witness.welcomed();
    if (input.type === "socketLost") this.#witness.socketLost();
    const { effects, attached } = tellBook(this.#book, input, nowMs);
    this.#witness.asked(effects, this.#book, nowMs);
    if (input.type === "attach" && attached !== undefined) {
      this.#witness.attached(input.attemptId, input.nextSeq, attached);
    }
  }
}

const poolLimits = { tickets: limits.ticketsPerPool, claimMs: limits.ackMs, silentMs: 90_000 };

/** One shard of a pool. */
class PoolReplay {
  readonly #pool: NodePool = emptyPool(poolLimits);
  readonly #witness: PoolWitness;
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
    this.#witness = new PoolWitness(name, poolLimits.claimMs);
  }

  tell(input: PoolInput, nowMs: number, draws: readonly number[]): void {
    this.#witness.saw(nowMs);
    this.#witness.settled(this.#step(input, nowMs, drawsOf(draws)), this.#pool.members.byId);
    const { size } = this.#pool.queue.byAttempt;
    holds(size <= poolLimits.tickets, "no queue grows past its bound", () => `${this.#name}: ${size} tickets`);
  }

  #step(input: PoolInput, nowMs: number, random: () => number): readonly Settled[] {
    switch (input.type) {
      case "recall":
        recall(this.#pool, input.member);
        this.#witness.offered(input.member.nodeId, input.member.slots, []);
        return [];
      case "offer":
        this.#witness.offered(input.word.nodeId, input.word.free, input.word.taken);
        return offer(this.#pool, input.word, nowMs, random);
      case "leave":
        this.#witness.left(input.nodeId);
        return leave(this.#pool, input.nodeId, nowMs, random);
      case "claim":
      case "claimNow": {
        const ticket = ticketOfTrace(input.ticket);
        const { attemptId } = ticket;
        this.#witness.asked(attemptId, ticket);
        const placement =
          input.type === "claim"
            ? claim(this.#pool, ticket, nowMs, random)
            : claimNow(this.#pool, ticket, nowMs, random, { isLastResort: input.isLastResort });
        return placement.kind === "lease" ? [{ attemptId, ...placement }] : [];
      }
      case "withdraw":
        this.#witness.withdrawn(input.attemptId);
        return withdraw(this.#pool, input.attemptId, nowMs, random);
      case "placedElsewhere":
        placedElsewhere(this.#pool, input.attemptId);
        return [];
      case "expire":
        return expire(this.#pool, nowMs, random);
    }
  }
}

/** The draws of a trace in order; then others, where the present code draws more than the traced one did. */
function drawsOf(draws: readonly number[]): () => number {
  const more = seededRandom(draws.length);
  let next = 0;
  return () => {
    const draw = draws[next];
    next += 1;
    return draw ?? more();
  };
}
