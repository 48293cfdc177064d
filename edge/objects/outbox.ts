import { z } from "zod";
import { limits } from "../../core/limits.ts";
import { type RecordEntry, recordEntrySchema } from "../../core/record/entry.ts";
import type { Migration } from "./migrate.ts";

/** The outbox's table; each object that has an outbox lists it among its migrations under a number of its own. */
export const outboxTable = (number: number): Migration => ({
  number,
  sql: `CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, entry TEXT NOT NULL);
    CREATE TABLE outbox_set_aside (id INTEGER PRIMARY KEY, entry TEXT NOT NULL, problem TEXT NOT NULL)`,
});

/** A row's text as the entry it holds. */
const storedEntrySchema = z
  .string()
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: "custom", message: "the row is not JSON" });
      return z.NEVER;
    }
  })
  .pipe(recordEntrySchema);

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

  /** Entries not yet confirmed by Postgres. */
  size(): number {
    return this.#sql.exec<{ size: number }>("SELECT count(*) AS size FROM outbox").one().size;
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
      const rows = this.#sql.exec<Row>("SELECT id, entry FROM outbox ORDER BY id LIMIT ?", batchRows).toArray();
      const [first, last] = [rows[0], rows.at(-1)];
      if (first === undefined || last === undefined) return undefined;
      try {
        const entries = rows.flatMap((row) => this.#read(row));
        if (entries.length > 0) await this.#send(entries);
        batchRows = Math.min(limits.outboxBatchRows, batchRows * 2);
      } catch (error) {
        if (error instanceof BatchRefused && rows.length > 1) {
          // The entry at fault is found by halves, so that the others do not wait behind it.
          batchRows = Math.ceil(rows.length / 2);
          continue;
        }
        if (!(error instanceof BatchRefused)) {
          this.#failures += 1;
          console.error("outbox: Postgres did not take a batch, it stays and is tried again", {
            rows: rows.length,
            error: String(error),
          });
          return nowMs + this.#delayMs();
        }
        this.#setAside(first, error.message);
      }
      this.#failures = 0;
      this.#sql.exec("DELETE FROM outbox WHERE id <= ?", last.id);
    }
  }

  /** The entry of a row. One that a later version of the schema cannot read is set aside. */
  #read(row: Row): RecordEntry[] {
    const parsed = storedEntrySchema.safeParse(row.entry);
    if (parsed.success) return [parsed.data];
    this.#setAside(row, parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; "));
    return [];
  }

  /** Keeps an entry that cannot be sent where it blocks no other, for a person to look at. */
  #setAside({ id, entry }: Row, problem: string): void {
    console.error("outbox: an entry cannot be recorded and was set aside", { id, problem });
    this.#sql.exec("INSERT OR IGNORE INTO outbox_set_aside (id, entry, problem) VALUES (?, ?, ?)", id, entry, problem);
  }

  #delayMs(): number {
    return Math.min(retryMaxMs, flushDelayMs * 2 ** Math.min(this.#failures, 10));
  }
}

type Row = { id: number; entry: string };
