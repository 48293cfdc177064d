import { z } from "zod";
import { type AttemptId, attemptIdSchema } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import { type RecordEntry, recordEntrySchema, type TaskRecord } from "../../core/record/entry.ts";
import type { Migration } from "./migrate.ts";

/** The outbox's table; each object that has an outbox lists it among its migrations under a number of its own. */
export const outboxTable = (number: number): Migration => ({
  number,
  sql: `CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, entry TEXT NOT NULL);
    CREATE TABLE outbox_set_aside (id INTEGER PRIMARY KEY, entry TEXT NOT NULL, problem TEXT NOT NULL)`,
});

/**
 * Room for open leases in the outbox's table, for each object that has an outbox: a lease is a row that is not sent
 * until it is replaced by how it ended, so that a task costs one row from first to last. Numbers of rows are given out
 * again once free: AUTOINCREMENT writes a second row, which is paid for, with each that is added.
 */
export const outboxLeases = (number: number): Migration => ({
  number,
  sql: `CREATE TABLE outbox_next (id INTEGER PRIMARY KEY, entry TEXT NOT NULL, attempt_id TEXT, lease TEXT);
    INSERT INTO outbox_next (id, entry) SELECT id, entry FROM outbox;
    DROP TABLE outbox;
    ALTER TABLE outbox_next RENAME TO outbox`,
});

/** A row's text as what is in it. */
const storedJson = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    context.addIssue({ code: "custom", message: "the row is not JSON" });
    return z.NEVER;
  }
});
const storedEntrySchema = storedJson.pipe(recordEntrySchema);

/** Postgres will never take this batch as it is: an entry's own data is at fault, and trying again changes nothing. */
export class BatchRefused extends Error {
  override readonly name = "BatchRefused";
}

/** First wait after an entry, so that a burst leaves in one batch; then doubling waits while Postgres is away. */
const flushDelayMs = 500;
const retryMaxMs = 30_000;

/**
 * Entries for Postgres, kept in the object's storage in the same transaction as what they tell of, and sent in
 * batches until Postgres has said yes. A batch may be sent twice; the record counts it once.
 */
export class Outbox {
  readonly #sql: SqlStorage;
  readonly #send: (entries: RecordEntry[]) => Promise<void>;
  /** Rows of open leases. */
  readonly #held = new Map<AttemptId, number>();
  #failures = 0;
  #flushing: Promise<number | undefined> | undefined;

  constructor(sql: SqlStorage, send: (entries: RecordEntry[]) => Promise<void>) {
    this.#sql = sql;
    this.#send = send;
  }

  /** Keeps entries. Returns when the owner's alarm should call {@link flush}, in milliseconds since the epoch. */
  add(entries: readonly RecordEntry[], nowMs: number): number {
    for (const entry of entries) this.#sql.exec("INSERT INTO outbox (entry) VALUES (?)", JSON.stringify(entry));
    return nowMs + this.#delayMs();
  }

  /** Keeps an open lease in the place where its end will be. */
  hold(attemptId: AttemptId, lease: object): void {
    const { id } = this.#sql
      .exec<{ id: number }>(
        "INSERT INTO outbox (entry, attempt_id, lease) VALUES ('', ?, ?) RETURNING id",
        attemptId,
        JSON.stringify(lease),
      )
      .one();
    this.#held.set(attemptId, id);
  }

  /** Puts how a held lease ended in its place. Returns when the owner's alarm should call {@link flush}. */
  release(attemptId: AttemptId, entry: RecordEntry, nowMs: number): number {
    const id = this.#held.get(attemptId);
    this.#held.delete(attemptId);
    // One that was over before it was held bears its name too: its reader may not have heard of its end.
    if (id === undefined) {
      this.#sql.exec("INSERT INTO outbox (entry, attempt_id) VALUES (?, ?)", JSON.stringify(entry), attemptId);
    } else this.#sql.exec("UPDATE outbox SET entry = ?, lease = NULL WHERE id = ?", JSON.stringify(entry), id);
    return nowMs + this.#delayMs();
  }

  /**
   * What there was when the object was reset: leases that were open, and tasks that ended and are not in Postgres yet
   * (the latest, so many that the open ones leave room for). A lease that a later schema cannot read is set aside.
   */
  recover<Lease>(leaseSchema: z.ZodType<Lease>): {
    open: Lease[];
    ended: { attemptId: AttemptId; record: TaskRecord }[];
  } {
    const open: Lease[] = [];
    const ended: { attemptId: AttemptId; record: TaskRecord }[] = [];
    const rows = this.#sql
      .exec<HeldRow>(
        "SELECT id, entry, attempt_id, lease FROM outbox WHERE attempt_id IS NOT NULL ORDER BY lease IS NULL, id DESC LIMIT ?",
        limits.heldAttempts,
      )
      .toArray();
    for (const { id, entry, attempt_id, lease } of rows) {
      const attemptId = attemptIdSchema.parse(attempt_id);
      if (lease === null) {
        const record = storedEntrySchema.safeParse(entry).data;
        if (record?.kind === "task") ended.push({ attemptId, record });
        continue;
      }
      const parsed = storedJson.pipe(leaseSchema).safeParse(lease);
      if (parsed.success) {
        this.#held.set(attemptId, id);
        open.push(parsed.data);
      } else this.#setAside({ id, entry: lease }, problemOf(parsed.error));
    }
    return { open, ended };
  }

  /** Entries not yet confirmed by Postgres. */
  size(): number {
    return this.#sql.exec<{ size: number }>("SELECT count(*) AS size FROM outbox WHERE lease IS NULL").one().size;
  }

  /** Sends what is there. Never throws; returns when to try again, or `undefined` once the outbox is empty. */
  flush(nowMs: number): Promise<number | undefined> {
    this.#flushing ??= this.#flush(nowMs).finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  async #flush(nowMs: number): Promise<number | undefined> {
    let batchRows: number = limits.outboxBatchRows;
    for (;;) {
      const rows = this.#sql
        .exec<Row>("SELECT id, entry FROM outbox WHERE lease IS NULL ORDER BY id LIMIT ?", batchRows)
        .toArray();
      if (rows.length === 0) return undefined;
      const batch = rows.flatMap((row) => this.#read(row));
      try {
        if (batch.length > 0) await this.#send(batch.map(({ entry }) => entry));
        batchRows = Math.min(limits.outboxBatchRows, batchRows * 2);
      } catch (error) {
        if (error instanceof BatchRefused && batch.length > 1) {
          // The entry at fault is found by halves, so that the others do not wait behind it.
          batchRows = Math.ceil(batch.length / 2);
          continue;
        }
        if (!(error instanceof BatchRefused)) {
          this.#failures += 1;
          console.error("outbox: Postgres did not take a batch, it stays and is tried again", {
            rows: batch.length,
            error: String(error),
          });
          return nowMs + this.#delayMs();
        }
        this.#failures = 0;
        for (const { row } of batch) this.#setAside(row, error.message);
        continue;
      }
      this.#failures = 0;
      // By number, not up to the last, and only what was sent: meanwhile a lease between them may have ended, and a new
      // entry may have got the number of one that was set aside.
      const sent = JSON.stringify(batch.map(({ row }) => row.id));
      this.#sql.exec("DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?))", sent);
    }
  }

  /** A row with its entry. One that a later version of the schema cannot read is set aside. */
  #read(row: Row): { row: Row; entry: RecordEntry }[] {
    const parsed = storedEntrySchema.safeParse(row.entry);
    if (parsed.success) return [{ row, entry: parsed.data }];
    this.#setAside(row, problemOf(parsed.error));
    return [];
  }

  /** Moves an entry that cannot be sent to where it blocks no other, for a person to look at. */
  #setAside({ id, entry }: Row, problem: string): void {
    console.error("outbox: an entry cannot be recorded and was set aside", { id, problem });
    this.#sql.exec("INSERT INTO outbox_set_aside (entry, problem) VALUES (?, ?)", entry, problem);
    this.#sql.exec("DELETE FROM outbox WHERE id = ?", id);
  }

  #delayMs(): number {
    return Math.min(retryMaxMs, flushDelayMs * 2 ** Math.min(this.#failures, 10));
  }
}

function problemOf(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ");
}

type Row = { id: number; entry: string };
type HeldRow = Row & { attempt_id: string; lease: string | null };
