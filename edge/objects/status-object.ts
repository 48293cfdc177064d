import { DurableObject } from "cloudflare:workers";
import { z } from "zod";
import { catalogue } from "../../core/model/catalogue.ts";
import { modelCardSchema } from "../../core/model/model-card.ts";
import type { Env } from "../env.ts";
import { type Migration, migrate } from "./migrate.ts";

/** One pool as it last told of itself; the time is milliseconds since the epoch. */
const poolReportSchema = z.strictObject({
  card: modelCardSchema,
  liveNodes: z.int().nonnegative(),
  slots: z.int().nonnegative(),
  freeSlots: z.int().nonnegative(),
  waiting: z.int().nonnegative(),
  atMs: z.int().nonnegative(),
});
export type PoolReport = z.infer<typeof poolReportSchema>;

/** A model as consumers see it. */
export interface ServedModel extends PoolReport {
  /** What to ask for: the model's name, or `name@` and 12 digits of the file's hash where another file has the name. */
  id: string;
  /** When a node first brought it, milliseconds since the epoch. */
  firstSeenAtMs: number;
}

/** A pool that has been silent for this long counts as without nodes. */
const silentMs = 90_000;
/** A model that no node has held for this long loses its name to the next file that brings it. */
const forgetMs = 7 * 24 * 3_600_000;

const statusMigrations: readonly Migration[] = [
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
];

/** The deployment at a glance: which models there are, and who serves them. Fed by the pools; never asked per request. */
export class StatusObject extends DurableObject<Env> {
  readonly #sql = this.ctx.storage.sql;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    migrate(ctx.storage, statusMigrations);
  }

  /** Keeps a pool's report; one that is older than what is known changes nothing. */
  reportPool(report: PoolReport): void {
    this.#sql.exec(
      `INSERT INTO pools (file_sha256, name, first_seen_at_ms, at_ms, report) VALUES (?1, ?2, ?3, ?3, ?4)
       ON CONFLICT (file_sha256) DO UPDATE SET name = ?2, at_ms = ?3, report = ?4 WHERE at_ms <= ?3`,
      ...[report.card.fileSha256, report.card.name, report.atMs, JSON.stringify(report)],
    );
    // A pool whose nodes are gone keeps its last time, so that the name outlives a short absence only.
    this.#sql.exec("DELETE FROM pools WHERE at_ms < ?", Date.now() - forgetMs);
  }

  /** Every model that a node held within a week, oldest name first; `liveNodes` 0 where none does now. */
  models(): ServedModel[] {
    const nowMs = Date.now();
    const rows = this.#sql
      .exec<{ first_seen_at_ms: number; report: string }>(
        "SELECT first_seen_at_ms, report FROM pools ORDER BY first_seen_at_ms, file_sha256",
      )
      .toArray();
    const owners = new Map<string, string>(catalogue.map((model) => [model.name, model.fileSha256]));
    return rows.map((row) => {
      const report = poolReportSchema.parse(JSON.parse(row.report));
      const { name, fileSha256 } = report.card;
      // A name in the catalogue means that file; any other name belongs to the file that came with it first.
      if (!owners.has(name)) owners.set(name, fileSha256);
      const isLive = nowMs - report.atMs < silentMs;
      return {
        ...report,
        ...(isLive ? {} : { liveNodes: 0, slots: 0, freeSlots: 0, waiting: 0 }),
        id: owners.get(name) === fileSha256 ? name : `${name}@${fileSha256.slice(0, 12)}`,
        firstSeenAtMs: row.first_seen_at_ms,
      };
    });
  }
}

/** The one StatusObject of a deployment. */
export function statusStub(env: Env): DurableObjectStub<StatusObject> {
  return env.STATUS.get(env.STATUS.idFromName("deployment"));
}
