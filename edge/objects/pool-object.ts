import { DurableObject } from "cloudflare:workers";
import { type AttemptId, type NodeId, nodeIdSchema } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import { catalogue } from "../../core/model/catalogue.ts";
import { type ModelCard, modelCardSchema } from "../../core/model/model-card.ts";
import {
  claim,
  emptyPool,
  expire,
  leave,
  type NodePool,
  nextExpiryMs,
  offer,
  roomOf,
  type Settled,
  withdraw,
} from "../../core/node-pool/node-pool.ts";
import type { Env } from "../env.ts";
import { Alarm } from "./alarm.ts";
import { type Migration, migrate } from "./migrate.ts";
import { statusStub } from "./status-object.ts";

/** How often a pool tells StatusObject of itself: while nothing changes, and at most while work comes and goes. */
const reportEveryMs = 30_000;
const reportChangesMs = 2_000;

export type ClaimResult =
  | { kind: "lease"; nodeId: NodeId }
  | { kind: "refuse"; code: "no_live_node" | "no_free_node" | "queue_full" };

/** A node's word on its room, with the model as it advertises it. */
export interface Offer {
  nodeId: NodeId;
  card: ModelCard;
  free: number;
  /** Claims that have reached the node since its last offer. */
  taken: AttemptId[];
}

/** Tables of a PoolObject: who is a member. Credits, claims and tickets live in memory only. */
const poolMigrations: readonly Migration[] = [
  {
    number: 1,
    sql: "CREATE TABLE members (node_id TEXT PRIMARY KEY, card TEXT NOT NULL, heard_at_ms INTEGER NOT NULL)",
  },
];

/** Who can serve one model file, and who waits for it. Sees neither prompts nor tokens. */
export class PoolObject extends DurableObject<Env> {
  readonly #sql = this.ctx.storage.sql;
  readonly #alarm = new Alarm(this.ctx.storage, [(nowMs) => this.#report(nowMs)]);
  readonly #pool: NodePool;
  /** Answers of the tickets that wait, and the timer of the earliest to expire. */
  readonly #waiting = new Map<AttemptId, (result: ClaimResult) => void>();
  #expiry: { timer: ReturnType<typeof setTimeout>; atMs: number } | undefined;
  #card: ModelCard | undefined;
  /** How much each member reads: the one thing of a card that differs between nodes and matters to callers. */
  readonly #contextTokens = new Map<NodeId, number>();
  #changes: ReturnType<typeof setTimeout> | undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    migrate(ctx.storage, poolMigrations);
    this.#pool = emptyPool({ tickets: limits.ticketsPerPool, claimMs: limits.ackMs, silentMs: 3 * reportEveryMs });
    for (const row of this.#sql.exec<MemberRow>("SELECT node_id, card, heard_at_ms FROM members").toArray()) {
      const card = modelCardSchema.parse(JSON.parse(row.card));
      // After a reset nobody knows what runs; a node's object refuses what is too much, so all slots count as free.
      this.#pool.members.set(nodeIdSchema.parse(row.node_id), {
        nodeId: nodeIdSchema.parse(row.node_id),
        slots: card.slots,
        free: card.slots,
        heardAtMs: row.heard_at_ms,
      });
      this.#contextTokens.set(nodeIdSchema.parse(row.node_id), card.contextTokens);
      this.#card = card;
    }
  }

  /** A node's object tells of its room: at joining, whenever it changes, and now and then. */
  async offer({ nodeId, card, free, taken }: Offer): Promise<void> {
    const nowMs = Date.now();
    const known = this.#pool.members.get(nodeId);
    const agreed = this.#agreedCard(card, nodeId);
    if (agreed === undefined) {
      console.warn("pool: a node says of this file what others and the catalogue do not, and gets no work", { nodeId });
      await this.leave(nodeId);
      return;
    }
    this.#card = agreed;
    this.#contextTokens.set(nodeId, card.contextTokens);

    this.#answer(offer(this.#pool, { nodeId, slots: card.slots, free, taken }, nowMs, Math.random));
    this.#reportSoon();

    if (known !== undefined && known.slots === card.slots && nowMs - known.heardAtMs < reportEveryMs / 2) return;
    this.#sql.exec(
      "INSERT OR REPLACE INTO members (node_id, card, heard_at_ms) VALUES (?, ?, ?)",
      ...[nodeId, JSON.stringify(agreed), nowMs],
    );
    if (known === undefined) await this.#report(nowMs);
    await this.#alarm.ringBy(nowMs + reportEveryMs);
  }

  /**
   * One file is one model, and a node that joins cannot change it for those that are there: its name is the catalogue's
   * or the first node's. `undefined` where the node says that it is another kind of model altogether.
   */
  #agreedCard(card: ModelCard, nodeId: NodeId): ModelCard | undefined {
    const known = catalogue.find((model) => model.fileSha256 === card.fileSha256);
    if (known !== undefined) return known.kind === card.kind ? { ...card, name: known.name } : undefined;
    const isAlone = [...this.#pool.members.keys()].every((member) => member === nodeId);
    if (isAlone || this.#card === undefined) return card;
    const isSame = card.kind === this.#card.kind && card.dimensions === this.#card.dimensions;
    return isSame ? { ...card, name: this.#card.name } : undefined;
  }

  /** A node is gone or takes no more. */
  async leave(nodeId: NodeId): Promise<void> {
    this.#sql.exec("DELETE FROM members WHERE node_id = ?", nodeId);
    const wasMember = this.#pool.members.has(nodeId);
    this.#contextTokens.delete(nodeId);

    this.#answer(leave(this.#pool, nodeId, Date.now(), Math.random));
    if (wasMember) await this.#report(Date.now());
  }

  /**
   * A node with room for one task, waiting at most `waitMs` for one. A Worker whose client is gone must
   * {@link withdraw}.
   */
  claim({
    attemptId,
    exclude,
    waitMs,
  }: {
    attemptId: AttemptId;
    exclude: NodeId[];
    waitMs: number;
  }): Promise<ClaimResult> {
    const nowMs = Date.now();
    const ticket = { attemptId, exclude: new Set(exclude), expiresAtMs: nowMs + waitMs };
    const placement = claim(this.#pool, ticket, nowMs, Math.random);
    if (placement.kind !== "wait") return Promise.resolve(placement);
    this.#reportSoon();
    this.#expireInTime();
    return new Promise((resolve) => this.#waiting.set(attemptId, resolve));
  }

  /** Gives up a ticket, or a lease that was not used. */
  withdraw(attemptId: AttemptId): void {
    this.#waiting.get(attemptId)?.({ kind: "refuse", code: "no_free_node" });
    this.#waiting.delete(attemptId);
    this.#answer(withdraw(this.#pool, attemptId, Date.now(), Math.random));
  }

  override async alarm(): Promise<void> {
    await this.#alarm.ring(Date.now());
  }

  #answer(settled: readonly Settled[]): void {
    for (const { attemptId, ...result } of settled) {
      this.#waiting.get(attemptId)?.(result);
      this.#waiting.delete(attemptId);
    }
    if (settled.length > 0) this.#expireInTime();
  }

  /** A timer, not the alarm: a ticket lives in memory, and so does what ends it. */
  #expireInTime(): void {
    const atMs = nextExpiryMs(this.#pool);
    if (atMs === undefined || (this.#expiry !== undefined && this.#expiry.atMs <= atMs)) return;
    if (this.#expiry !== undefined) clearTimeout(this.#expiry.timer);
    const fire = () => {
      this.#expiry = undefined;
      this.#answer(expire(this.#pool, Date.now(), Math.random));
      this.#expireInTime();
    };
    this.#expiry = { timer: setTimeout(fire, Math.max(1, atMs - Date.now())), atMs };
  }

  /** Free slots and waiting tickets as the page shows them are a few seconds old, not half a minute. */
  #reportSoon(): void {
    this.#changes ??= setTimeout(() => {
      this.#changes = undefined;
      this.ctx.waitUntil(this.#report(Date.now()));
    }, reportChangesMs);
  }

  /** Tells StatusObject of this pool; due again while it has members. */
  async #report(nowMs: number): Promise<number | undefined> {
    this.#answer(expire(this.#pool, nowMs, Math.random));
    for (const row of this.#sql.exec<{ node_id: string }>("SELECT node_id FROM members").toArray()) {
      if (!this.#pool.members.has(nodeIdSchema.parse(row.node_id))) {
        this.#sql.exec("DELETE FROM members WHERE node_id = ?", row.node_id);
      }
    }
    if (this.#card === undefined) return undefined;
    const members = [...this.#pool.members.values()];
    const contexts = members.map(({ nodeId }) => this.#contextTokens.get(nodeId) ?? 0);

    await statusStub(this.env).reportPool({
      // A prompt that one node cannot read goes to one that can, so the longest context is the model's.
      card: { ...this.#card, contextTokens: Math.max(...contexts, members.length > 0 ? 0 : this.#card.contextTokens) },

      liveNodes: members.length,
      slots: members.reduce((sum, member) => sum + member.slots, 0),
      freeSlots: roomOf(this.#pool).reduce((sum, room) => sum + room.free, 0),
      waiting: this.#pool.tickets.size,
      atMs: nowMs,
    });
    return members.length > 0 ? nowMs + reportEveryMs : undefined;
  }
}

type MemberRow = { node_id: string; card: string; heard_at_ms: number };
