import type { ModelHash, NodeId } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import type { ModelCard } from "../../core/model/model-card.ts";
import { poolName } from "../../core/node-pool/pool-name.ts";
import type { Env } from "../env.ts";
import type { Credits } from "./credits.ts";
import type { PoolObject } from "./pool-object.ts";

/** What a node can offer now. */
export interface Offering {
  nodeId: NodeId;
  models: readonly ModelCard[];
  credits: Credits;
}

/** A pool forgets a claim that was not confirmed within `limits.ackMs`; this is well before. */
export const claimConfirmMs = limits.ackMs / 3;
const retryMs = 1_000;

/** Keeps the pools' view of one node: its room while it serves, and its leaving. */
export class PoolOffers {
  readonly #env: Env;
  readonly #waitUntil: (promise: Promise<unknown>) => void;
  /** `undefined` while the node takes nothing. */
  readonly #offering: () => Offering | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: {
    env: Env;
    waitUntil: (promise: Promise<unknown>) => void;
    offering: () => Offering | undefined;
  }) {
    this.#env = options.env;
    this.#waitUntil = options.waitUntil;
    this.#offering = options.offering;
  }

  /** Tells the pools within `delayMs`: changes close together go in one call. */
  tellWithin(delayMs: number): void {
    if (delayMs > 0 && this.#timer !== undefined) return;
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#waitUntil(this.tell());
    }, delayMs);
  }

  /** Tells the pools now; one that does not hear is told again soon. */
  async tell(): Promise<void> {
    const offering = this.#offering();
    if (offering === undefined) return;
    const { nodeId, models, credits } = offering;
    await Promise.all(
      models.map(async (card) => {
        const { free, taken } = credits.offer(card.fileSha256);
        await this.#pool(card.fileSha256).offer({ nodeId, card, free, taken });
      }),
    ).catch((error: unknown) => {
      console.warn("node: a pool did not hear an offer, it is told again", { error: String(error) });
      this.tellWithin(retryMs);
    });
  }

  /** Takes the node out of these models' pools. */
  leave(nodeId: NodeId, models: readonly ModelCard[]): void {
    for (const { fileSha256 } of models) this.#waitUntil(this.#pool(fileSha256).leave(nodeId));
  }

  #pool(fileSha256: ModelHash): DurableObjectStub<PoolObject> {
    return this.#env.POOL.get(this.#env.POOL.idFromName(poolName(fileSha256)));
  }
}
