import { DurableObject } from "cloudflare:workers";
import type { AccountId, AttemptId, NodeId } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import type { ModelCard } from "../../core/model/model-card.ts";
import { isCheckable } from "../../core/node-pool/ability.ts";
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
import { shardInName, siblingName } from "../../core/node-pool/pool-name.ts";
import { shardOf } from "../../core/node-pool/shards.ts";
import { countsOf, type Standing, standingOf } from "../../core/node-pool/standing.ts";
import { type PoolInput, tracedTicket } from "../../core/trace/pool-input.ts";
import { Trace } from "../../core/trace/trace.ts";
import type { Env } from "../env.ts";
import { agreedCard, isSameModel } from "./agreed-card.ts";
import { Alarm } from "./alarm.ts";
import { askMembers } from "./ask-members.ts";
import { ticketOf } from "./claim-ticket.ts";
import type { ClaimRequest, ClaimResult, Offer, OfferAnswer } from "./pool-calls.ts";
import { type LendTicket, type Lent, lendTickets, PoolSiblings, type Sibling } from "./pool-siblings.ts";
import { PoolTables, type StoredMember } from "./pool-tables.ts";
import { type ModelAgreement, statusStub } from "./status-object.ts";

/** How often a pool tells StatusObject of itself: while nothing changes, and at most while work comes and goes. */
const reportEveryMs = 30_000;
const reportChangesMs = 2_000;
/** A node that joins is reported at once where nothing was reported for so long. */
const joinReportMs = 200;
/** Nodes that are remembered for what they say of the file, so that they can be told; then all are forgotten. */
const disagreeingNodes = 1_000;

/** Who can serve one model file, or one shard of its nodes, and who waits for them. Sees neither prompts nor tokens. */
export class PoolObject extends DurableObject<Env> {
  readonly #tables = new PoolTables(this.ctx.storage);
  readonly #alarm = new Alarm(this.ctx.storage, [(nowMs) => this.#report(nowMs)]);
  readonly #pool: NodePool = emptyPool({
    tickets: limits.ticketsPerPool,
    claimMs: limits.ackMs,
    silentMs: 3 * reportEveryMs,
  });
  /** Who waits: its answer, and whether it was content to wait where nobody lives. */
  readonly #waiting = new Map<AttemptId, PromiseWithResolvers<ClaimResult> & { isPatient: boolean }>();
  #expiry: { timer: ReturnType<typeof setTimeout>; atMs: number } | undefined;
  #card: ModelCard | undefined;
  /** The members as they are in storage. */
  readonly #stored = new Map<NodeId, StoredMember>();
  readonly #disagreeing = new Set<NodeId>();
  #changes: ReturnType<typeof setTimeout> | undefined;
  #reportedAtMs = 0;
  readonly #name: string;
  readonly #trace = new Trace();
  /** Which shard this is: its name says so. */
  readonly #shard: number;
  /** Shards as StatusObject last said; null while it has not. */
  #shards: number | null;
  readonly #siblings: PoolSiblings;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const self = this.#tables.self();
    this.#name = ctx.id.name ?? self?.name ?? "";
    for (const member of this.#tables.members()) {
      const { nodeId, operator, ability, heardAtMs } = member;
      const { slots, tokensPerSecond } = member.card;
      const recalled = { nodeId, slots, tokensPerSecond, firstTokenMs: null, ability, heardAtMs, ...whoseIs(operator) };
      this.#dice({ type: "recall", member: recalled });
      recall(this.#pool, recalled);
      this.#stored.set(nodeId, member);
      this.#card = member.card;
    }
    this.#shard = shardInName(this.#name);
    this.#shards = self?.shards ?? null;
    const waitUntil = (promise: Promise<unknown>) => this.ctx.waitUntil(promise);
    this.#siblings = new PoolSiblings({
      own: this.#shard,
      stub: (shard) => this.#sibling(shard),
      asker: {
        firstWaiting: (count) => firstWaiting(this.#pool, count),
        isServableHere: (ticket) => isServable(this.#pool.members, ticket),
        onPlaced: (attemptId, nodeId) => {
          this.#dice({ type: "placedElsewhere", attemptId });
          if (!placedElsewhere(this.#pool, attemptId)) return false;
          this.#resolve(attemptId, { kind: "lease", nodeId });
          return true;
        },
        onHopeless: (attemptId) => this.#hopeless(attemptId),
      },
      waitUntil,
    });
    this.#siblings.setShards(this.#shards ?? 1);
    if (this.#stored.size > 0) waitUntil(askMembers(this.#pool, (nodeId) => this.#askNode(nodeId)));
  }

  /** A node's object tells of its room: at joining, whenever it changes, and now and then. */
  async offer(said: Offer): Promise<OfferAnswer> {
    const { nodeId, operator, ability = "own", card, free, taken } = said;
    const { firstTokenMs = null, asideUntilMs = 0, isSentOn = false } = said;
    const nowMs = Date.now();
    const isElsewhere = this.#shards !== null && shardOf(nodeId, this.#shards) !== this.#shard;
    if (isElsewhere && !isSentOn) {
      this.#drop(nodeId);
      return this.#answerTo(nodeId);
    }
    const { byId } = this.#pool.members;
    const isAlone = byId.size === 0 || (byId.size === 1 && byId.has(nodeId));
    const agreed = agreedCard(card, isAlone ? undefined : this.#card);
    if (agreed === undefined) {
      console.warn("pool: a node says of this file what others and the catalogue do not, and gets no work", { nodeId });
      if (this.#disagreeing.size >= disagreeingNodes) this.#disagreeing.clear();
      this.#disagreeing.add(nodeId);
      this.#drop(nodeId);
      return this.#answerTo(nodeId);
    }
    this.#disagreeing.delete(nodeId);
    this.#card = agreed;
    const { slots, tokensPerSecond } = card;
    const can = { slots, free, tokensPerSecond, firstTokenMs, ability };
    const word = { nodeId, ...can, asideUntilMs, taken, ...whoseIs(operator) };
    const isNew = !byId.has(nodeId);
    this.#answer(
      offer(this.#pool, word, nowMs, this.#dice({ type: "offer", word: { ...word, taken: [...word.taken] } }, nowMs)),
    );
    this.#reportSoon();

    const stored = this.#stored.get(nodeId);
    const isSame =
      stored?.card.slots === card.slots &&
      stored.card.contextTokens === card.contextTokens &&
      stored.operator === (operator ?? null) &&
      stored.ability === ability;
    if (isNew || stored === undefined || !isSame || nowMs - stored.heardAtMs >= reportEveryMs / 2) {
      this.#store({ nodeId, operator: operator ?? null, ability, card: agreed, heardAtMs: nowMs });
      // The first node makes the model known at once; of many that come together the page hears soon enough.
      if (isNew && nowMs - this.#reportedAtMs >= joinReportMs) await this.#reportOrLater();
      await this.#alarm.ringBy(nowMs + reportEveryMs);
    }
    return this.#answerTo(nodeId);
  }

  /** A node is gone or takes no more. Returns how many shards there are, in one of which it may still be. */
  async leave(nodeId: NodeId): Promise<{ shards: number }> {
    const wasMember = this.#pool.members.byId.has(nodeId);
    this.#drop(nodeId);
    if (wasMember) await this.#reportOrLater();
    return { shards: this.#shards ?? 1 };
  }

  /**
   * A node with room for one task, waiting at most `waitMs` for one. A Worker whose client is gone must
   * {@link withdraw}. An attempt that asks again while it waits gets the one answer.
   */
  claim(request: ClaimRequest): Promise<ClaimResult> {
    const { attemptId, waitMs, isPatient = false } = request;
    const waiting = this.#waiting.get(attemptId);
    if (waiting !== undefined) return waiting.promise;
    const nowMs = Date.now();
    // Of other shards it is not known who is in them.
    if (request.isToBeChecked === true && this.#siblings.count === 0 && !isCheckable(this.#pool.members)) {
      const code = this.#pool.members.byId.size === 0 ? "no_live_node" : "no_validator";
      return Promise.resolve({ kind: "refuse", code });
    }
    // Where there are other shards, one of them may have a live node; they are asked before anybody is sent away.
    const ticket = ticketOf(request, { expiresAtMs: nowMs + waitMs, isPatient: isPatient || this.#siblings.count > 0 });
    const placement = claim(
      this.#pool,
      ticket,
      nowMs,
      this.#dice({ type: "claim", ticket: tracedTicket(ticket) }, nowMs),
    );
    this.#expireInTime();
    if (placement.kind !== "wait") return Promise.resolve(placement);
    if (placement.displaced !== undefined) this.#resolve(placement.displaced, { kind: "refuse", code: "queue_full" });
    const answer = { ...Promise.withResolvers<ClaimResult>(), isPatient };
    this.#waiting.set(attemptId, answer);
    this.#reportSoon();
    this.#siblings.wake({ isUrgent: !isServable(this.#pool.members, ticket) });
    return answer.promise;
  }

  /** Gives up a ticket, or a lease that was not used. */
  withdraw(attemptId: AttemptId): void {
    this.#resolve(attemptId, { kind: "refuse", code: "no_free_node" });
    this.#siblings.withdraw(attemptId);
    this.#withdraw(attemptId);
  }

  /** Places for tickets that wait in another shard; the leases are this shard's own claims. */
  lend({ tickets }: { tickets: readonly LendTicket[] }): Lent[] {
    const nowMs = Date.now();
    return tickets.slice(0, lendTickets).map(({ isLastResort, ...wish }): Lent => {
      const ticket = ticketOf(wish, { expiresAtMs: nowMs, isPatient: false });
      const placement = claimNow(
        this.#pool,
        ticket,
        nowMs,
        this.#dice({ type: "claimNow", ticket: tracedTicket(ticket), isLastResort }, nowMs),
        { isLastResort },
      );
      if (placement.kind === "lease") this.#reportSoon();
      const { attemptId } = ticket;
      if (placement.kind === "lease") return { attemptId, ...placement };
      return { attemptId, kind: placement.code === "no_free_node" ? "busy" : "none" };
    });
  }

  /** Why a node gets work here or none. */
  standing(nodeId: NodeId): Standing {
    const nowMs = Date.now();
    if (!this.#disagreeing.has(nodeId)) return standingOf(this.#pool, nodeId, nowMs);
    return { kind: "card_disagrees", counts: countsOf(this.#pool, undefined, nowMs) };
  }

  /** What this pool was told of late, as lines of JSON for `npm run replay`. */
  exportTrace(): string {
    return this.#trace.toText();
  }

  override async alarm(): Promise<void> {
    await this.#alarm.ring(Date.now());
  }

  #answerTo(nodeId: NodeId): OfferAnswer {
    const isMember = this.#pool.members.byId.has(nodeId);
    return { shards: this.#shards ?? 1, isMember, standing: this.standing(nodeId) };
  }

  async #askNode(nodeId: NodeId): Promise<void> {
    await this.env.NODE.get(this.env.NODE.idFromName(nodeId)).offerNow();
  }

  #withdraw(attemptId: AttemptId): void {
    const nowMs = Date.now();
    this.#answer(withdraw(this.#pool, attemptId, nowMs, this.#dice({ type: "withdraw", attemptId }, nowMs)));
  }

  #expire(nowMs: number): void {
    this.#answer(expire(this.#pool, nowMs, this.#dice({ type: "expire" }, nowMs)));
  }

  /** Chance for one call of the pool, which is traced with what was drawn, so that the call can be made again. */
  #dice(input: PoolInput, nowMs = Date.now()): () => number {
    return this.#trace.notePool(this.#name, input, nowMs, Math.random);
  }

  #sibling(shard: number): Sibling {
    return this.env.POOL.get(this.env.POOL.idFromName(siblingName(this.#name, shard)));
  }

  #answer(settled: readonly Settled[]): void {
    for (const { attemptId, ...result } of settled) this.#resolve(attemptId, result);
    if (settled.length > 0) this.#expireInTime();
  }

  #resolve(attemptId: AttemptId, result: ClaimResult): void {
    this.#waiting.get(attemptId)?.resolve(result);
    this.#waiting.delete(attemptId);
  }

  /** No shard has a node for a ticket: it is sent away, unless it is content to wait for one to come. */
  #hopeless(attemptId: AttemptId): boolean {
    if (this.#waiting.get(attemptId)?.isPatient !== false) return false;
    this.#resolve(attemptId, { kind: "refuse", code: "no_live_node" });
    this.#withdraw(attemptId);
    return true;
  }

  /** A timer, not the alarm: a ticket lives in memory, and so does what ends it. */
  #expireInTime(): void {
    const atMs = nextExpiryMs(this.#pool);
    if (atMs === undefined || (this.#expiry !== undefined && this.#expiry.atMs <= atMs)) return;
    if (this.#expiry !== undefined) clearTimeout(this.#expiry.timer);
    const fire = () => {
      this.#expiry = undefined;
      this.#expire(Date.now());
      this.#expireInTime();
    };
    this.#expiry = { timer: setTimeout(fire, Math.max(1, atMs - Date.now())), atMs };
  }

  #drop(nodeId: NodeId): void {
    this.#unstore(nodeId);
    const nowMs = Date.now();
    this.#answer(leave(this.#pool, nodeId, nowMs, this.#dice({ type: "leave", nodeId }, nowMs)));
    this.#reportSoon();
  }

  #store(member: StoredMember): void {
    if (this.#stored.size === 0) this.#tables.writeSelf({ name: this.#name, shards: this.#shards });
    this.#stored.set(member.nodeId, member);
    this.#tables.writeMember(member);
  }

  #unstore(nodeId: NodeId): void {
    if (this.#stored.delete(nodeId)) this.#tables.deleteMember(nodeId);
  }

  /** Free slots and waiting tickets as the page shows them are a few seconds old, not half a minute. */
  #reportSoon(): void {
    this.#changes ??= setTimeout(() => {
      this.#changes = undefined;
      this.ctx.waitUntil(this.#reportOrLater());
    }, reportChangesMs);
  }

  async #reportOrLater(): Promise<void> {
    try {
      await this.#report(Date.now());
    } catch (error) {
      console.warn("pool: a report was not heard, it is made again", { error: String(error) });
      this.#reportSoon();
    }
  }

  /** Tells StatusObject of this pool and hears how many shards there are; due again while it has members. */
  async #report(nowMs: number): Promise<number | undefined> {
    this.#expire(nowMs);
    const { members, queue } = this.#pool;
    let contextTokens = 0;
    for (const { nodeId, card } of this.#stored.values()) {
      if (members.byId.has(nodeId)) contextTokens = Math.max(contextTokens, card.contextTokens);
      else this.#unstore(nodeId);
    }
    if (this.#card === undefined) return undefined;
    this.#reportedAtMs = nowMs;
    const agreement = await statusStub(this.env).reportPool({
      // A prompt that one node cannot read goes to one that can, so the longest context is the model's.
      card: { ...this.#card, contextTokens: contextTokens === 0 ? this.#card.contextTokens : contextTokens },
      shard: this.#shard,
      liveNodes: members.byId.size,
      slots: members.slots,
      freeSlots: members.room,
      waiting: queue.byAttempt.size,
      atMs: nowMs,
    });
    this.#agree(agreement);
    return members.byId.size > 0 ? nowMs + reportEveryMs : undefined;
  }

  /** Takes over what all shards of a model are to hold for true. */
  #agree({ shards, card }: ModelAgreement): void {
    if (shards !== this.#shards) {
      this.#shards = shards;
      this.#tables.writeSelf({ name: this.#name, shards });
      this.#siblings.setShards(shards);
    }
    if (this.#card === undefined || isSameModel(card, this.#card)) {
      this.#card = { ...(this.#card ?? card), name: card.name };
      return;
    }
    // The first nodes of this shard agreed on what those of the first shard do not say.
    console.warn("pool: a shard's nodes say of their file what others do not, and get no work", { shard: this.#shard });
    this.#card = card;
    for (const nodeId of [...this.#pool.members.byId.keys()]) {
      this.#disagreeing.add(nodeId);
      this.#drop(nodeId);
    }
  }
}

function whoseIs(operator: AccountId | null | undefined): { operator?: AccountId } {
  return operator == null ? {} : { operator };
}
