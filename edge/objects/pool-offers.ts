import type { AccountId, ModelHash, NodeId } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import type { ModelCard } from "../../core/model/model-card.ts";
import type { Ability } from "../../core/node-pool/ability.ts";
import { poolName } from "../../core/node-pool/pool-name.ts";
import { shardOf } from "../../core/node-pool/shards.ts";
import type { Standing } from "../../core/node-pool/standing.ts";
import type { Env } from "../env.ts";
import type { Credits } from "./credits.ts";
import type { Offer } from "./pool-calls.ts";
import type { PoolObject } from "./pool-object.ts";

/** Whose a node is, and whether others' answers are given to it to check. */
export interface Whose {
  nodeId: NodeId;
  operator: AccountId;
  mayValidate: boolean;
}

/** What a node can offer now. */
export interface Offering extends Whose {
  models: readonly ModelCard[];
  credits: Credits;
  /** Until when its lost sockets put it aside; 0 where they do not. */
  asideUntilMs: number;
}

/** A pool forgets a claim that was not confirmed within `limits.ackMs`; this is well before. */
const claimConfirmMs = limits.ackMs / 3;
/** Room that came back is told within this where the pool knows of more room: several tasks' worth goes in one call. */
const gatherMs = 50;
const retryMs = 1_000;
/** Weight of the newest first token in the mean. */
const newest = 0.2;
/**
 * A mean that no answer has renewed for this long is dropped: a node that was slow once would else never be drawn again
 * where the others are not busy, and so never measured again.
 */
const recentMs = 120_000;

/** Keeps the pools' view of one node: its room while it serves, and its leaving. */
export class PoolOffers {
  readonly #env: Env;
  readonly #waitUntil: (promise: Promise<unknown>) => void;
  /** `undefined` while the node takes nothing. */
  readonly #offering: () => Offering | undefined;
  /** Room that each model's pool believes in: what it was told less what came since. */
  readonly #believed = new Map<ModelHash, number>();
  readonly #firstTokenMs = new Map<ModelHash, { mean: number; atMs: number }>();
  /** The shard of each model's pool that this node is in, as far as is known. */
  readonly #shards = new Map<ModelHash, number>();
  /** How often the node has left each pool: an offer that was on its way meanwhile may have come after. */
  readonly #leaves = new Map<ModelHash, number>();
  readonly #onStanding: (model: ModelHash, standing: Standing) => void;
  #timer: { timer: ReturnType<typeof setTimeout>; atMs: number } | undefined;
  /** Ends the stay of a node whose socket broke and that did not come back. */
  #away: ReturnType<typeof setTimeout> | undefined;

  constructor(options: {
    env: Env;
    waitUntil: (promise: Promise<unknown>) => void;
    offering: () => Offering | undefined;
    /** Called with each answer of a pool: why the node gets work there, or none. */
    onStanding?: (model: ModelHash, standing: Standing) => void;
  }) {
    this.#env = options.env;
    this.#waitUntil = options.waitUntil;
    this.#offering = options.offering;
    this.#onStanding = options.onStanding ?? (() => {});
  }

  /** A claim has reached the node. */
  taken(model: ModelHash): void {
    this.#believed.set(model, (this.#believed.get(model) ?? 0) - 1);
    this.tellWithin(claimConfirmMs);
  }

  /** The node takes more. A pool that believes it full hears at once: somebody may wait. */
  granted(model: ModelHash): void {
    this.tellWithin((this.#believed.get(model) ?? 0) > 0 ? gatherMs : 0);
  }

  /** How long an answer took to its first token, milliseconds from its assignment. */
  noteFirstToken(model: ModelHash, firstTokenMs: number): void {
    const before = this.#recentFirstTokenMs(model) ?? firstTokenMs;
    this.#firstTokenMs.set(model, { mean: before + newest * (firstTokenMs - before), atMs: Date.now() });
  }

  /** Tells the pools within `delayMs`: changes close together go in one call. */
  tellWithin(delayMs: number): void {
    const atMs = Date.now() + delayMs;
    if (this.#timer !== undefined && this.#timer.atMs <= atMs) return;
    if (this.#timer !== undefined) clearTimeout(this.#timer.timer);
    const fire = () => {
      this.#timer = undefined;
      this.#waitUntil(this.tell());
    };
    this.#timer = { timer: setTimeout(fire, delayMs), atMs };
  }

  /** Tells the pools now; one that does not hear is told again soon. */
  async tell(): Promise<void> {
    const offering = this.#offering();
    if (offering === undefined) return;
    const { nodeId, operator, models, credits, asideUntilMs } = offering;
    await Promise.all(
      models.map((card) => {
        const { free, taken } = credits.offer(card.fileSha256);
        this.#believed.set(card.fileSha256, free);
        const ability = abilityOf(card, offering);
        return this.#offer({ nodeId, operator, ability, card, free, taken, asideUntilMs });
      }),
    ).catch((error: unknown) => {
      console.warn("node: a pool did not hear an offer, it is told again", { error: String(error) });
      this.tellWithin(retryMs);
    });
  }

  /**
   * The node's socket broke: it keeps its place in the pools for `limits.awayMs`, without room, so that a node which is
   * back in a moment finds it, and who waits for it is not sent away.
   */
  away(whose: Whose, models: readonly ModelCard[], { asideUntilMs = 0 } = {}): void {
    const { nodeId, operator } = whose;
    for (const card of models) {
      this.#believed.set(card.fileSha256, 0);
      const ability = abilityOf(card, whose);
      this.#waitUntil(this.#offer({ nodeId, operator, ability, card, free: 0, taken: [], asideUntilMs }));
    }
    this.back();
    this.#away = setTimeout(() => {
      this.#away = undefined;
      if (this.#offering() === undefined) this.leave(nodeId, models);
    }, limits.awayMs);
  }

  /** A socket of the node is here again. */
  back(): void {
    clearTimeout(this.#away ?? null);
    this.#away = undefined;
  }

  /** True while the node keeps its place without a socket. */
  get isAway(): boolean {
    return this.#away !== undefined;
  }

  /** Why the node gets this model's work or none, asked of the shard that it is in. */
  standing(nodeId: NodeId, model: ModelHash): Promise<Standing> {
    return this.#pool(model, this.#shards.get(model) ?? 0).standing(nodeId);
  }

  /** Takes the node out of these models' pools. */
  leave(nodeId: NodeId, models: readonly ModelCard[]): void {
    for (const { fileSha256 } of models) this.#waitUntil(this.#leave(nodeId, fileSha256));
  }

  /** Offers to the shard that the node is in, and to the one that this sends it to, where it does. */
  async #offer(said: Offer): Promise<void> {
    const { nodeId, card } = said;
    const { fileSha256 } = card;
    const leaves = this.#leaves.get(fileSha256);
    const hasLeft = () => this.#leaves.get(fileSha256) !== leaves;
    const wish = { ...said, firstTokenMs: this.#recentFirstTokenMs(fileSha256) };
    let shard = this.#shards.get(fileSha256) ?? 0;
    this.#shards.set(fileSha256, shard);
    let answer = await this.#pool(fileSha256, shard).offer(wish);
    const due = shardOf(nodeId, answer.shards);
    if (!answer.isMember && due !== shard && !hasLeft()) {
      shard = due;
      this.#shards.set(fileSha256, shard);
      answer = await this.#pool(fileSha256, shard).offer({ ...wish, isSentOn: true });
    }
    const isOffered = this.#offering()?.models.some((model) => model.fileSha256 === fileSha256) ?? false;
    if (hasLeft() && !isOffered) await this.#pool(fileSha256, shard).leave(nodeId);
    else this.#onStanding(fileSha256, answer.standing);
  }

  /** After a reset it is not known which shard the node is in: the first one says how many there are. */
  async #leave(nodeId: NodeId, fileSha256: ModelHash): Promise<void> {
    this.#leaves.set(fileSha256, (this.#leaves.get(fileSha256) ?? 0) + 1);
    const known = this.#shards.get(fileSha256);
    this.#shards.delete(fileSha256);
    const { shards } = await this.#pool(fileSha256, known ?? 0).leave(nodeId);
    const due = shardOf(nodeId, shards);
    if (known === undefined && due !== 0) await this.#pool(fileSha256, due).leave(nodeId);
  }

  #recentFirstTokenMs(model: ModelHash): number | null {
    const measured = this.#firstTokenMs.get(model);
    return measured !== undefined && Date.now() - measured.atMs < recentMs ? measured.mean : null;
  }

  #pool(fileSha256: ModelHash, shard: number): DurableObjectStub<PoolObject> {
    return this.#env.POOL.get(this.#env.POOL.idFromName(poolName(fileSha256, shard)));
  }
}

function abilityOf({ decoding = "verifiable", checks }: ModelCard, { mayValidate }: Whose): Ability {
  if (decoding === "own") return mayValidate && checks === "plain" ? "plainValidator" : "own";
  return mayValidate && (checks ?? "all") === "all" ? "validator" : "verifiable";
}
