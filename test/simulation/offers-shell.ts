import type { AttemptId, ModelHash, NodeId } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import { shardOf } from "../../core/node-pool/shards.ts";
import type { Credits } from "../../edge/objects/credits.ts";
import type { Clock } from "./object-host.ts";

/** What a node says of itself at its hello. */
export interface NodeCard {
  readonly nodeId: NodeId;
  readonly model: ModelHash;
  readonly slots: number;
  readonly tokensPerSecond: number;
}

/** A node's word to its pool. */
export interface OfferWish {
  readonly nodeId: NodeId;
  readonly model: ModelHash;
  readonly slots: number;
  readonly tokensPerSecond: number;
  readonly free: number;
  readonly taken: readonly AttemptId[];
  readonly firstTokenMs: number | null;
  readonly asideUntilMs: number;
  /** Another shard has sent it here. */
  readonly isSentOn: boolean;
}

/** How a node's object reaches its model's pools. */
export interface PoolsOfNode {
  offer(
    shard: number,
    offer: OfferWish,
    done: (reply: { shards: number; isMember: boolean }) => void,
    failed: () => void,
  ): void;
  leave(shard: number, nodeId: NodeId, done: (reply: { shards: number }) => void): void;
}

const claimConfirmMs = limits.ackMs / 3;
const gatherMs = 50;
const retryMs = 1_000;
const newest = 0.2;

/** A node's word to its pools, as `edge/objects/pool-offers.ts` keeps it. */
export class OffersShell {
  readonly #clock: Clock;
  readonly #pools: PoolsOfNode;
  readonly #card: NodeCard;
  readonly #offering: () => { credits: Credits; asideUntilMs: number } | undefined;
  /** The shard of the model's pool that this node is in, as far as is known. */
  #shard: number | undefined;
  /** How often the node has left: an offer that was on its way meanwhile may have come after. */
  #leaves = 0;
  #believed = 0;
  #firstTokenMs: number | null = null;
  #timerAtMs: number | undefined;
  #cancelTimer: () => void = () => {};

  constructor(
    clock: Clock,
    options: {
      pools: PoolsOfNode;
      card: NodeCard;
      offering: () => { credits: Credits; asideUntilMs: number } | undefined;
    },
  ) {
    this.#clock = clock;
    this.#pools = options.pools;
    this.#card = options.card;
    this.#offering = options.offering;
  }

  /** True while nothing is about to be told. */
  get isQuiet(): boolean {
    return this.#timerAtMs === undefined;
  }

  taken(): void {
    this.#believed -= 1;
    this.tellWithin(claimConfirmMs);
  }

  granted(): void {
    this.tellWithin(this.#believed > 0 ? gatherMs : 0);
  }

  noteFirstToken(firstTokenMs: number): void {
    const mean = this.#firstTokenMs ?? firstTokenMs;
    this.#firstTokenMs = mean + newest * (firstTokenMs - mean);
  }

  tellWithin(delayMs: number): void {
    const atMs = this.#clock.nowMs + delayMs;
    if (this.#timerAtMs !== undefined && this.#timerAtMs <= atMs) return;
    this.#cancelTimer();
    this.#timerAtMs = atMs;
    this.#cancelTimer = this.#clock.after(delayMs, () => {
      this.#timerAtMs = undefined;
      this.tell();
    });
  }

  tell(): void {
    const offering = this.#offering();
    if (offering === undefined) return;
    const { free, taken } = offering.credits.offer(this.#card.model);
    this.#believed = free;
    this.#offer({ free, taken, asideUntilMs: offering.asideUntilMs }, () => this.tellWithin(retryMs));
  }

  /** The socket broke: the node keeps its place, without room. */
  away(): void {
    this.#believed = 0;
    this.#offer({ free: 0, taken: [], asideUntilMs: 0 }, () => {});
  }

  /** After a reset it is not known which shard the node is in: the first one says how many there are. */
  leave(): void {
    const { nodeId } = this.#card;
    this.#leaves += 1;
    const known = this.#shard;
    this.#shard = undefined;
    const left = this.#clock.inLife(({ shards }: { shards: number }) => {
      const due = shardOf(nodeId, shards);
      if (known === undefined && due !== 0) this.#pools.leave(due, nodeId, () => {});
    });
    this.#pools.leave(known ?? 0, nodeId, left);
  }

  /** Offers to the shard that the node is in, and to the one that this sends it to, where it does. */
  #offer(said: Pick<OfferWish, "free" | "taken" | "asideUntilMs">, failed: () => void): void {
    const { nodeId } = this.#card;
    const leaves = this.#leaves;
    const word = { ...this.#card, firstTokenMs: this.#firstTokenMs, ...said };
    const shard = this.#shard ?? 0;
    this.#shard = shard;
    const end = (last: number) => {
      if (this.#leaves !== leaves && this.#offering() === undefined) this.#pools.leave(last, nodeId, () => {});
    };
    this.#pools.offer(
      shard,
      { ...word, isSentOn: false },
      this.#clock.inLife(({ shards, isMember }) => {
        const due = shardOf(nodeId, shards);
        if (isMember || due === shard || this.#leaves !== leaves) {
          end(shard);
          return;
        }
        this.#shard = due;
        const then = this.#clock.inLife(() => end(due));
        this.#pools.offer(due, { ...word, isSentOn: true }, then, this.#clock.inLife(failed));
      }),
      this.#clock.inLife(failed),
    );
  }
}
