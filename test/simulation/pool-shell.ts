import type { AccountId, AttemptId, NodeId } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
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
  placedElsewhere,
  recall,
  type Settled,
  withdraw,
} from "../../core/node-pool/node-pool.ts";
import { isServable } from "../../core/node-pool/placement.ts";
import { shardOf } from "../../core/node-pool/shards.ts";
import { type PoolInput, tracedTicket } from "../../core/trace/pool-input.ts";
import { holds } from "./ground.ts";
import type { Instance, ObjectHost } from "./object-host.ts";
import type { OfferWish } from "./offers-shell.ts";
import { PoolWitness } from "./pool-witness.ts";
import { type Asker, type LendWish, type Lent, lendTickets, SiblingsShell } from "./siblings-shell.ts";

const reportEveryMs = 30_000;
const reportChangesMs = 2_000;
const joinReportMs = 200;
const batchNodes = 64;
const askedNodes = 15 * batchNodes;

/** What a pool has in storage: its members, and how many shards there are as it last heard. */
export interface PoolStorage {
  readonly members: Map<NodeId, { slots: number; tokensPerSecond: number; heardAtMs: number }>;
  shards: number | undefined;
}

export const emptyPoolStorage = (): PoolStorage => ({ members: new Map(), shards: undefined });

export interface ClaimWish {
  attemptId: AttemptId;
  accountId: AccountId;
  weight: number;
  exclude: readonly NodeId[];
  avoid: readonly NodeId[];
  affinity: string | null;
  isPatient: boolean;
  waitMs: number;
}

export type ClaimReply =
  | { kind: "lease"; nodeId: NodeId }
  | { kind: "refuse"; code: "no_live_node" | "no_free_node" | "queue_full" };

/** What a node's object is told when it offers. */
export interface OfferReply {
  shards: number;
  isMember: boolean;
}

/** How a pool reaches others. */
export interface WaysOfPool {
  lend(shard: number, wishes: readonly LendWish[], done: (lent: readonly Lent[]) => void, failed: () => void): void;
  withdraw(shard: number, attemptId: AttemptId): void;
  report(
    report: { shard: number; liveNodes: number; atMs: number },
    done: (agreed: { shards: number }) => void,
    failed: () => void,
  ): void;
  offerNow(nodeId: NodeId, settled: () => void): void;
  /** A lease is given: for checkers. */
  onLease(attemptId: AttemptId): void;
}

/** A pool's object, or one shard of it, as `edge/objects/pool-object.ts` has it. */
export class PoolShell implements Instance {
  readonly #host: ObjectHost<PoolShell>;
  readonly #storage: PoolStorage;
  readonly #shard: number;
  readonly #ways: WaysOfPool;
  readonly #pool: NodePool;
  readonly #witness: PoolWitness;
  readonly #siblings: SiblingsShell;
  readonly #waiting = new Map<AttemptId, { reply: (reply: ClaimReply) => void; isPatient: boolean }>();
  #expiryAtMs: number | undefined;
  #cancelExpiry: () => void = () => {};
  #isReportDue = false;
  #reportedAtMs = 0;

  constructor(
    host: ObjectHost<PoolShell>,
    { storage, shard, ways }: { storage: PoolStorage; shard: number; ways: WaysOfPool },
  ) {
    this.#host = host;
    this.#storage = storage;
    this.#shard = shard;
    this.#ways = ways;
    const poolLimits = { tickets: limits.ticketsPerPool, claimMs: limits.ackMs, silentMs: 3 * reportEveryMs };
    this.#pool = emptyPool(poolLimits);
    this.#witness = new PoolWitness(host.name, poolLimits.claimMs);
    const known = [...storage.members].toSorted(([, left], [, right]) => left.heardAtMs - right.heardAtMs);
    for (const [nodeId, member] of known) {
      const recalled = { nodeId, ...member, firstTokenMs: null };
      this.#told(() => ({ type: "recall", member: recalled }));
      recall(this.#pool, recalled);
      this.#witness.offered(nodeId, member.slots, []);
    }
    this.#siblings = new SiblingsShell(host, { own: shard, asker: this.#asker() });
    this.#siblings.setShards(storage.shards ?? 1);
    if (known.length > 0) this.#askMembers();
  }

  /** Requests that wait. */
  get ticketCount(): number {
    return this.#pool.queue.byAttempt.size;
  }

  /** Tasks that its members would take now, as it believes. */
  get room(): number {
    this.#answer(
      expire(
        this.#pool,
        this.#nowMs,
        this.#told(() => ({ type: "expire" })),
      ),
    );
    return this.#pool.members.room;
  }

  get memberCount(): number {
    return this.#pool.members.byId.size;
  }

  offer(word: OfferWish): OfferReply {
    const nowMs = this.#nowMs;
    const { nodeId, slots, tokensPerSecond, free, taken, firstTokenMs, asideUntilMs, isSentOn } = word;
    const { shards } = this.#storage;
    if (shards !== undefined && shardOf(nodeId, shards) !== this.#shard && !isSentOn) {
      this.#drop(nodeId);
      return { shards, isMember: false };
    }
    const isNew = !this.#pool.members.byId.has(nodeId);
    this.#witness.offered(nodeId, free, taken);
    const said = { nodeId, slots, tokensPerSecond, free, taken, firstTokenMs, asideUntilMs };
    const random = this.#told(() => ({ type: "offer", word: { ...said, taken: [...taken] } }));
    this.#answer(offer(this.#pool, said, nowMs, random));
    this.#reportSoon();
    const kept = this.#storage.members.get(nodeId);
    if (isNew || kept?.slots !== slots || nowMs - kept.heardAtMs >= reportEveryMs / 2) {
      this.#storage.members.set(nodeId, { slots, tokensPerSecond, heardAtMs: nowMs });
      this.#host.ground.tally.add("rows written");
      if (isNew && nowMs - this.#reportedAtMs >= joinReportMs) this.#report();
      this.#host.ringBy(nowMs + reportEveryMs);
    }
    return { shards: this.#storage.shards ?? 1, isMember: true };
  }

  leave(nodeId: NodeId): { shards: number } {
    const wasMember = this.#pool.members.byId.has(nodeId);
    this.#drop(nodeId);
    if (wasMember) this.#report();
    return { shards: this.#storage.shards ?? 1 };
  }

  claim(wish: ClaimWish, reply: (result: ClaimReply) => void): void {
    const nowMs = this.#nowMs;
    const { waitMs, isPatient, ...rest } = wish;
    const { attemptId } = wish;
    const { tally, bugs } = this.#host.ground;
    const named = { exclude: new Set(wish.exclude), avoid: new Set(wish.avoid) };
    this.#witness.asked(attemptId, named);
    const ticket = {
      ...rest,
      ...(bugs.has("excludeForgotten") ? { exclude: new Set<NodeId>(), avoid: new Set<NodeId>() } : named),
      expiresAtMs: nowMs + waitMs,
      isPatient: isPatient || this.#siblings.count > 0,
    };
    const startedMs = this.#host.ground.isTimed ? performance.now() : 0;
    const random = this.#told(() => ({ type: "claim", ticket: tracedTicket(ticket) }));
    const placement = claim(this.#pool, ticket, nowMs, random);
    if (this.#host.ground.isTimed) tally.sample("claim, µs", 1_000 * (performance.now() - startedMs));
    tally.add("claims");
    this.#expireInTime();
    holds(this.ticketCount <= limits.ticketsPerPool, "no queue grows past its bound", () => this.#host.name);
    tally.peak("peak of tickets in a pool", this.ticketCount);
    if (placement.kind !== "wait") {
      if (placement.kind === "lease") this.#leased(attemptId, placement.nodeId);
      reply(placement);
      return;
    }
    if (placement.displaced !== undefined) this.#settled(placement.displaced, { kind: "refuse", code: "queue_full" });
    this.#waiting.set(attemptId, { reply, isPatient });
    this.#reportSoon();
    this.#siblings.wake({ isUrgent: !isServable(this.#pool.members, ticket) });
  }

  withdraw(attemptId: AttemptId): void {
    this.#settled(attemptId, { kind: "refuse", code: "no_free_node" });
    this.#siblings.withdraw(attemptId);
    this.#witness.withdrawn(attemptId);
    this.#answer(
      withdraw(
        this.#pool,
        attemptId,
        this.#nowMs,
        this.#told(() => ({ type: "withdraw", attemptId })),
      ),
    );
  }

  lend(wishes: readonly LendWish[]): Lent[] {
    const nowMs = this.#nowMs;
    return wishes.slice(0, lendTickets).map(({ isLastResort, ...wish }): Lent => {
      const { attemptId } = wish;
      const ticket = { ...wish, isPatient: false, expiresAtMs: nowMs };
      const random = this.#told(() => ({ type: "claimNow", ticket: tracedTicket(ticket), isLastResort }));
      const placement = claimNow(this.#pool, ticket, nowMs, random, { isLastResort });
      if (placement.kind === "refuse") {
        return { attemptId, kind: placement.code === "no_free_node" ? "busy" : "none" };
      }
      this.#host.ground.tally.add("leases lent by another shard");
      this.#leased(attemptId, placement.nodeId);
      return { attemptId, ...placement };
    });
  }

  alarm(done: () => void): void {
    this.#report((againAtMs) => {
      if (againAtMs !== undefined) this.#host.ringBy(againAtMs);
      done();
    });
  }

  /** The object's clock, which the witness hears of too. */
  get #nowMs(): number {
    const { nowMs } = this.#host;
    this.#witness.saw(nowMs);
    return nowMs;
  }

  readonly #random = () => this.#host.ground.dice.random();

  /** Notes what the pool is told, where that is traced. Returns its source of random numbers. */
  #told(input: () => PoolInput): () => number {
    const trace = this.#host.ground.traceOf(this.#host.name);
    return trace === undefined ? this.#random : trace.notePool(this.#host.name, input(), this.#nowMs, this.#random);
  }

  #asker(): Asker {
    return {
      firstWaiting: (count) => firstWaiting(this.#pool, count),
      isServableHere: (ticket) => isServable(this.#pool.members, ticket),
      onPlaced: (attemptId, nodeId) => {
        this.#told(() => ({ type: "placedElsewhere", attemptId }));
        if (!placedElsewhere(this.#pool, attemptId)) return false;
        this.#settled(attemptId, { kind: "lease", nodeId });
        return true;
      },
      onHopeless: (attemptId) => this.#hopeless(attemptId),
      lend: (shard, wishes, done, failed) =>
        this.#ways.lend(shard, wishes, this.#host.inLife(done), this.#host.inLife(failed)),
      giveBack: (shard, attemptId) => this.#ways.withdraw(shard, attemptId),
    };
  }

  #drop(nodeId: NodeId): void {
    this.#storage.members.delete(nodeId);
    this.#witness.left(nodeId);
    this.#answer(
      leave(
        this.#pool,
        nodeId,
        this.#nowMs,
        this.#told(() => ({ type: "leave", nodeId })),
      ),
    );
    this.#reportSoon();
  }

  #hopeless(attemptId: AttemptId): boolean {
    if (this.#waiting.get(attemptId)?.isPatient !== false) return false;
    this.#settled(attemptId, { kind: "refuse", code: "no_live_node" });
    this.#answer(
      withdraw(
        this.#pool,
        attemptId,
        this.#nowMs,
        this.#told(() => ({ type: "withdraw", attemptId })),
      ),
    );
    return true;
  }

  #leased(attemptId: AttemptId, nodeId: NodeId): void {
    this.#ways.onLease(attemptId);
    this.#witness.leased(attemptId, nodeId, this.#pool.members.byId);
    if (this.#host.ground.bugs.has("claimDoubled") && this.#host.ground.dice.isChance(0.2)) {
      withdraw(
        this.#pool,
        attemptId,
        this.#nowMs,
        this.#told(() => ({ type: "withdraw", attemptId })),
      );
    }
  }

  #settled(attemptId: AttemptId, result: ClaimReply): void {
    this.#waiting.get(attemptId)?.reply(result);
    this.#waiting.delete(attemptId);
  }

  #answer(settled: readonly Settled[]): void {
    for (const { attemptId, ...result } of settled) {
      if (result.kind === "lease") this.#leased(attemptId, result.nodeId);
      this.#settled(attemptId, result);
    }
    if (settled.length > 0) this.#expireInTime();
  }

  #expireInTime(): void {
    const atMs = nextExpiryMs(this.#pool);
    if (atMs === undefined || (this.#expiryAtMs !== undefined && this.#expiryAtMs <= atMs)) return;
    this.#cancelExpiry();
    this.#expiryAtMs = atMs;
    this.#cancelExpiry = this.#host.after(Math.max(1, atMs - this.#nowMs), () => {
      this.#expiryAtMs = undefined;
      this.#answer(
        expire(
          this.#pool,
          this.#nowMs,
          this.#told(() => ({ type: "expire" })),
        ),
      );
      this.#expireInTime();
    });
  }

  #reportSoon(): void {
    if (this.#isReportDue) return;
    this.#isReportDue = true;
    this.#host.after(reportChangesMs, () => {
      this.#isReportDue = false;
      this.#report();
    });
  }

  /** Tells the status object of this pool and hears how many shards there are. */
  #report(then: (againAtMs: number | undefined) => void = () => {}): void {
    const nowMs = this.#nowMs;
    this.#answer(
      expire(
        this.#pool,
        nowMs,
        this.#told(() => ({ type: "expire" })),
      ),
    );
    const { byId } = this.#pool.members;
    if (this.#storage.members.size > byId.size) {
      for (const nodeId of this.#storage.members.keys()) if (!byId.has(nodeId)) this.#storage.members.delete(nodeId);
    }
    this.#reportedAtMs = nowMs;
    this.#ways.report(
      { shard: this.#shard, liveNodes: byId.size, atMs: nowMs },
      this.#host.inLife(({ shards }) => {
        if (shards !== this.#storage.shards) {
          this.#storage.shards = shards;
          this.#siblings.setShards(shards);
        }
        then(byId.size > 0 ? nowMs + reportEveryMs : undefined);
      }),
      this.#host.inLife(() => {
        this.#reportSoon();
        then(nowMs + 5_000);
      }),
    );
  }

  /** Asks the members whose room is a guess for their own word: `edge/objects/ask-members.ts`. */
  #askMembers(): void {
    const { dice } = this.#host.ground;
    const guesses = [...this.#pool.members.byId.keys()].map((nodeId) => ({ nodeId, place: dice.random() }));
    guesses.sort((left, right) => left.place - right.place);
    const askFrom = (begin: number) => {
      const batch = guesses
        .slice(begin, begin + batchNodes)
        .filter(({ nodeId }) => this.#pool.members.byId.get(nodeId)?.isGuess === true);
      if (begin >= Math.min(guesses.length, askedNodes)) return;
      let open = batch.length;
      const settled = this.#host.inLife(() => {
        open -= 1;
        if (open === 0) askFrom(begin + batchNodes);
      });
      if (open === 0) askFrom(begin + batchNodes);
      for (const { nodeId } of batch) this.#ways.offerNow(nodeId, settled);
    };
    this.#host.after(0, () => askFrom(0));
  }
}
