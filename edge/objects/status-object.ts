import { DurableObject } from "cloudflare:workers";
import { z } from "zod";
import { catalogue } from "../../core/model/catalogue.ts";
import { type ModelCard, modelCardSchema } from "../../core/model/model-card.ts";
import { shardCount, shardsAtMost } from "../../core/node-pool/shards.ts";
import type { Env } from "../env.ts";
import { sweepAbandonedTasks } from "./abandoned-tasks.ts";
import { Alarm } from "./alarm.ts";
import { type Migration, migrate } from "./migrate.ts";

/** One shard of a model's pool as it last told of itself; the time is milliseconds since the epoch. */
const poolReportSchema = z.strictObject({
  card: modelCardSchema,
  shard: z.int().nonnegative().max(shardsAtMost).default(0),
  liveNodes: z.int().nonnegative(),
  slots: z.int().nonnegative(),
  freeSlots: z.int().nonnegative(),
  waiting: z.int().nonnegative(),
  atMs: z.int().nonnegative(),
});
type KeptReport = z.output<typeof poolReportSchema>;
/** As a pool tells it; the first shard where none is named. */
export type PoolReport = Omit<KeptReport, "shard"> & { shard?: number };

/** What a pool is to know of its model: how many shards it has, and what its file is to be taken for. */
export interface ModelAgreement {
  shards: number;
  card: ModelCard;
}

/** A model as consumers see it: what all shards of its pool told, summed up. */
export interface ServedModel {
  /** What to ask for: the model's name, or `name@` and 12 digits of the file's hash where another file has the name. */
  id: string;
  /** As the shard with most nodes has it, with the longest context of any. */
  card: ModelCard;
  /** Shards of its pool, a power of two; `shardOf` says which one a key belongs to. */
  shards: number;
  liveNodes: number;
  slots: number;
  freeSlots: number;
  waiting: number;
  /** When a shard last told of itself, milliseconds since the epoch. */
  atMs: number;
  /** When a node first brought it, milliseconds since the epoch. */
  firstSeenAtMs: number;
}

/** A shard that has been silent for this long counts as without nodes. */
const silentMs = 90_000;
/** The record is first swept this long after the object woke to a report. */
const firstSweepMs = 60_000;
/** A model that no node has held for this long loses its name to the next file that brings it. */
const forgetMs = 7 * 24 * 3_600_000;

/** Tables of the StatusObject: the models there are, and what each shard of their pools last told. */
export const statusMigrations: readonly Migration[] = [
  {
    number: 1,
    sql: `CREATE TABLE pools (
      file_sha256 TEXT PRIMARY KEY,
      name TEXT NOT NULL,
      first_seen_at_ms INTEGER NOT NULL,
      at_ms INTEGER NOT NULL,
      report TEXT NOT NULL
    )`,
  },
  {
    number: 2,
    sql: `CREATE TABLE models (
      file_sha256 TEXT PRIMARY KEY,
      first_seen_at_ms INTEGER NOT NULL,
      at_ms INTEGER NOT NULL,
      shards INTEGER NOT NULL
    );
    CREATE TABLE shard_reports (
      file_sha256 TEXT NOT NULL,
      shard INTEGER NOT NULL,
      at_ms INTEGER NOT NULL,
      live_nodes INTEGER NOT NULL,
      report TEXT NOT NULL,
      PRIMARY KEY (file_sha256, shard)
    );
    INSERT INTO models SELECT file_sha256, first_seen_at_ms, at_ms, 1 FROM pools;
    INSERT INTO shard_reports SELECT file_sha256, 0, at_ms, 0, report FROM pools;
    DROP TABLE pools`,
  },
];

/** The deployment at a glance: which models there are, and who serves them. Fed by the pools; never asked per request. */
export class StatusObject extends DurableObject<Env> {
  readonly #sql = this.ctx.storage.sql;
  #sweptAtMs = 0;
  readonly #alarm = new Alarm(this.ctx.storage, [(nowMs) => this.#sweep(nowMs)]);

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    migrate(ctx.storage, statusMigrations);
  }

  /**
   * Keeps a shard's report; one that is older than what is known changes nothing. Returns how many shards the model is
   * to have by now, and its card as the shard with most nodes has it: every shard is to take the file for that.
   */
  reportPool(report: PoolReport): ModelAgreement {
    const { shard = 0, card, atMs, liveNodes } = report;
    const { fileSha256 } = card;
    const [known] = this.#sql
      .exec<{ shards: number }>("SELECT shards FROM models WHERE file_sha256 = ?", fileSha256)
      .toArray();
    if (known === undefined) this.#forgetModels();
    this.#sql.exec(
      `INSERT INTO shard_reports (file_sha256, shard, at_ms, live_nodes, report) VALUES (?1, ?2, ?3, ?4, ?5)
       ON CONFLICT (file_sha256, shard) DO UPDATE SET at_ms = ?3, live_nodes = ?4, report = ?5 WHERE at_ms <= ?3`,
      ...[fileSha256, shard, atMs, liveNodes, JSON.stringify(report)],
    );
    const live = this.#sql
      .exec<{ shard: number; live_nodes: number }>(
        `SELECT shard, live_nodes FROM shard_reports WHERE file_sha256 = ? AND at_ms > ? AND live_nodes > 0
         ORDER BY live_nodes DESC, shard`,
        ...[fileSha256, Date.now() - silentMs],
      )
      .toArray();
    const allNodes = live.reduce((sum, row) => sum + row.live_nodes, 0);
    const shards = shardCount({ liveNodes: allNodes, shards: known?.shards ?? 1 });
    // A pool whose nodes are gone keeps its last time, so that the name outlives a short absence only.
    this.#sql.exec(
      `INSERT INTO models (file_sha256, first_seen_at_ms, at_ms, shards) VALUES (?1, ?2, ?2, ?3)
       ON CONFLICT (file_sha256) DO UPDATE SET at_ms = MAX(at_ms, ?2), shards = ?3`,
      ...[fileSha256, atMs, shards],
    );
    if (this.#sweptAtMs === 0) this.ctx.waitUntil(this.#alarm.ringBy(Date.now() + firstSweepMs));
    const leading = live[0]?.shard ?? shard;
    return { shards, card: leading === shard ? card : this.#cardOf(card, leading) };
  }

  override async alarm(): Promise<void> {
    await this.#alarm.ring(Date.now());
  }

  /** The record is swept while the deployment has pools that report; one that is asleep has no tasks to lose. */
  async #sweep(nowMs: number): Promise<number | undefined> {
    this.#sweptAtMs = nowMs;
    const dueMs = await sweepAbandonedTasks(this.env, nowMs);
    const isLive = this.#sql.exec("SELECT 1 FROM models WHERE at_ms > ?", nowMs - silentMs).toArray().length > 0;
    if (isLive) return dueMs;
    this.#sweptAtMs = 0;
    return undefined;
  }

  /** Every model that a node held within a week, oldest name first; `liveNodes` 0 where none does now. */
  models(): ServedModel[] {
    const nowMs = Date.now();
    const reports = new Map<string, KeptReport[]>();
    for (const row of this.#sql
      .exec<{ report: string }>("SELECT report FROM shard_reports ORDER BY file_sha256, shard")
      .toArray()) {
      const report = poolReportSchema.parse(JSON.parse(row.report));
      const { fileSha256 } = report.card;
      reports.set(fileSha256, [...(reports.get(fileSha256) ?? []), report]);
    }
    const rows = this.#sql
      .exec<{ file_sha256: string; first_seen_at_ms: number; shards: number }>(
        "SELECT file_sha256, first_seen_at_ms, shards FROM models ORDER BY first_seen_at_ms, file_sha256",
      )
      .toArray();
    const owners = new Map<string, string>(catalogue.map((model) => [model.name, model.fileSha256]));
    return rows.flatMap((row) => {
      const model = sumOf(reports.get(row.file_sha256) ?? [], nowMs);
      if (model === undefined) return [];
      const { name, fileSha256 } = model.card;
      // A name in the catalogue means that file; any other name belongs to the file that came with it first.
      if (!owners.has(name)) owners.set(name, fileSha256);
      return {
        ...model,
        id: owners.get(name) === fileSha256 ? name : `${name}@${fileSha256.slice(0, 12)}`,
        shards: row.shards,
        firstSeenAtMs: row.first_seen_at_ms,
      };
    });
  }

  /** The card that a shard last told of; `own` where it is not known. */
  #cardOf(own: ModelCard, shard: number): ModelCard {
    const [row] = this.#sql
      .exec<{ report: string }>(
        "SELECT report FROM shard_reports WHERE file_sha256 = ? AND shard = ?",
        ...[own.fileSha256, shard],
      )
      .toArray();
    return row === undefined ? own : poolReportSchema.parse(JSON.parse(row.report)).card;
  }

  /** Only a file that is new can want a name that another has given up. */
  #forgetModels(): void {
    const beforeMs = Date.now() - forgetMs;
    this.#sql.exec("DELETE FROM models WHERE at_ms < ?", beforeMs);
    this.#sql.exec("DELETE FROM shard_reports WHERE file_sha256 NOT IN (SELECT file_sha256 FROM models)");
  }
}

/** What the shards of one model told, summed up; `undefined` where none ever did. */
function sumOf(
  reports: readonly KeptReport[],
  nowMs: number,
): Omit<ServedModel, "id" | "shards" | "firstSeenAtMs"> | undefined {
  const weightOf = ({ atMs, liveNodes }: KeptReport) => (nowMs - atMs < silentMs ? liveNodes : 0);
  const [leading] = reports.toSorted((one, other) => weightOf(other) - weightOf(one) || other.atMs - one.atMs);
  if (leading === undefined) return undefined;
  const sum = { liveNodes: 0, slots: 0, freeSlots: 0, waiting: 0, atMs: 0 };
  let { contextTokens } = leading.card;
  for (const report of reports) {
    sum.atMs = Math.max(sum.atMs, report.atMs);
    if (nowMs - report.atMs >= silentMs) continue;
    sum.liveNodes += report.liveNodes;
    sum.slots += report.slots;
    sum.freeSlots += report.freeSlots;
    sum.waiting += report.waiting;
    if (report.liveNodes > 0) contextTokens = Math.max(contextTokens, report.card.contextTokens);
  }
  return { card: { ...leading.card, contextTokens }, ...sum };
}

/** The one StatusObject of a deployment. */
export function statusStub(env: Env): DurableObjectStub<StatusObject> {
  return env.STATUS.get(env.STATUS.idFromName("deployment"));
}
