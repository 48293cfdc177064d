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
/** Tasks that ended close together, each with the attempt that ended it: one row for all of them. */
const endedSchema = z.object({ ended: z.array(z.tuple([attemptIdSchema, z.unknown()])) });

/** How a task ended, and the attempt that ended it. */
export interface Ended {
  attemptId: AttemptId;
  record: TaskRecord;
}

/** Most ends in one row, which may have 2 MB. */
const rowEnds = 50;
/** Past so many rows Postgres is away for long, and what waits for it is in storage alone. */
const rememberedRows = 1_000;

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
  /** Entries of rows that this instance wrote, so that they need not be read again. A cache. */
  readonly #written = new Map<number, RecordEntry[]>();
  #failures = 0;
  #flushing: Promise<number | undefined> | undefined;

  constructor(sql: SqlStorage, send: (entries: RecordEntry[]) => Promise<void>) {
    this.#sql = sql;
    this.#send = send;
  }

  /** Keeps entries. Returns when the owner's alarm should call {@link flush}, in milliseconds since the epoch. */
  add(entries: readonly RecordEntry[], nowMs: number): number {
    for (const entry of entries) this.#insert(entry, { attemptId: null, entries: [entry] });
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

  /**
   * Puts how held leases ended in their places. Those that were never held share rows: rows are most of what a request
   * costs. Returns when the owner's alarm should call {@link flush}.
   */
  release(ended: readonly Ended[], nowMs: number): number {
    const fresh: Ended[] = [];
    for (const end of ended) {
      const id = this.#held.get(end.attemptId);
      this.#held.delete(end.attemptId);
      if (id === undefined) fresh.push(end);
      else {
        this.#sql.exec("UPDATE outbox SET entry = ?, lease = NULL WHERE id = ?", JSON.stringify(end.record), id);
        this.#remember(id, [end.record]);
      }
    }
    for (let start = 0; start < fresh.length; start += rowEnds) this.#addEnded(fresh.slice(start, start + rowEnds));
    return nowMs + this.#delayMs();
  }

  /** Ends that were over before they were held bear their attempts' names: their readers may not have heard of them. */
  #addEnded(ended: readonly Ended[]): void {
    const [first] = ended;
    if (first === undefined) return;
    const entry = ended.length === 1 ? first.record : { ended: ended.map((end) => [end.attemptId, end.record]) };
    this.#insert(entry, { attemptId: first.attemptId, entries: ended.map(({ record }) => record) });
  }

  #insert(stored: object, { attemptId, entries }: { attemptId: AttemptId | null; entries: RecordEntry[] }): void {
    const { id } = this.#sql
      .exec<{ id: number }>(
        "INSERT INTO outbox (entry, attempt_id) VALUES (?, ?) RETURNING id",
        JSON.stringify(stored),
        attemptId,
      )
      .one();
    this.#remember(id, entries);
  }

  #remember(id: number, entries: RecordEntry[]): void {
    if (this.#written.size < rememberedRows) this.#written.set(id, entries);
  }

  /**
   * What there was when the object was reset: leases that were open, and tasks that ended and are not in Postgres yet
   * (the latest, so many that the open ones leave room for). A lease that a later schema cannot read is set aside.
   */
  recover<Lease>(leaseSchema: z.ZodType<Lease>): {
    open: Lease[];
    ended: Ended[];
  } {
    const open: Lease[] = [];
    const ended: Ended[] = [];
    const rows = this.#sql
      .exec<HeldRow>(
        "SELECT id, entry, attempt_id, lease FROM outbox WHERE attempt_id IS NOT NULL ORDER BY lease IS NULL, id DESC LIMIT ?",
        limits.heldAttempts,
      )
      .toArray();
    for (const { id, entry, attempt_id, lease } of rows) {
      const attemptId = attemptIdSchema.parse(attempt_id);
      if (lease === null) {
        for (const told of entriesOf(storedJson.safeParse(entry).data).toReversed()) {
          const record = recordEntrySchema.safeParse(told.entry).data;
          if (record?.kind === "task") ended.push({ attemptId: told.attemptId ?? attemptId, record });
        }
        continue;
      }
      const parsed = storedJson.pipe(leaseSchema).safeParse(lease);
      if (parsed.success) {
        this.#held.set(attemptId, id);
        open.push(parsed.data);
      } else this.#setAside({ id, entry: lease }, problemOf(parsed.error));
    }
    return { open, ended: ended.slice(0, limits.heldAttempts - open.length) };
  }

  /** Entries not yet confirmed by Postgres. */
  size(): number {
    const rows = this.#sql.exec<Row>("SELECT id, entry FROM outbox WHERE lease IS NULL").toArray();
    return rows.reduce((sum, { entry }) => sum + entriesOf(storedJson.safeParse(entry).data).length, 0);
  }

  /** Sends what is there. Never throws; returns when to try again, or `undefined` once the outbox is empty. */
  flush(nowMs: number): Promise<number | undefined> {
    this.#flushing ??= this.#flush(nowMs).finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  async #flush(nowMs: number): Promise<number | undefined> {
    let batchRows: number = limits.outboxBatchEntries;
    for (;;) {
      const rows = this.#sql
        .exec<Row>("SELECT id, entry FROM outbox WHERE lease IS NULL ORDER BY id LIMIT ?", batchRows)
        .toArray();
      if (rows.length === 0) return undefined;
      const batch = this.#readBatch(rows);
      try {
        if (batch.length > 0) await this.#send(batch.flatMap(({ entries }) => entries));
        batchRows = Math.min(limits.outboxBatchEntries, batchRows * 2);
      } catch (error) {
        const isRefused = error instanceof BatchRefused;
        if (isRefused && batch.length > 1) {
          // The entry at fault is found by halves, so that the others do not wait behind it.
          batchRows = Math.ceil(batch.length / 2);
          continue;
        }
        if (!isRefused) {
          this.#failures += 1;
          console.error("outbox: Postgres did not take a batch, it stays and is tried again", {
            rows: batch.length,
            error: String(error),
          });
          return nowMs + this.#delayMs();
        }
        this.#failures = 0;
        for (const { row } of batch) this.#splitOrSetAside(row, error.message);
        continue;
      }
      this.#failures = 0;
      // By number, not up to the last, and only what was sent: meanwhile a lease between them may have ended, and a new
      // entry may have got the number of one that was set aside.
      for (const { row } of batch) this.#written.delete(row.id);
      const sent = JSON.stringify(batch.map(({ row }) => row.id));
      this.#sql.exec("DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?))", sent);
    }
  }

  /** The first of these rows with their entries, as many as a batch may have. Those that cannot be read leave. */
  #readBatch(rows: readonly Row[]): { row: Row; entries: RecordEntry[] }[] {
    const batch: { row: Row; entries: RecordEntry[] }[] = [];
    let size = 0;
    for (const row of rows) {
      const entries = this.#read(row);
      size += entries.length;
      if (size > limits.outboxBatchEntries) break;
      if (entries.length > 0) batch.push({ row, entries });
    }
    return batch;
  }

  /** A row's entries; none where one of them is of a later version of the schema, which then stands alone. */
  #read(row: Row): RecordEntry[] {
    const written = this.#written.get(row.id);
    if (written !== undefined) return written;
    const json = storedJson.safeParse(row.entry);
    if (!json.success) {
      this.#setAside(row, problemOf(json.error));
      return [];
    }
    const entries: RecordEntry[] = [];
    for (const { entry } of entriesOf(json.data)) {
      const parsed = recordEntrySchema.safeParse(entry);
      if (!parsed.success) {
        this.#splitOrSetAside(row, problemOf(parsed.error));
        return [];
      }
      entries.push(parsed.data);
    }
    return entries;
  }

  /** Of a row whose entries are at fault each gets its own, so that the others go on; a single one is set aside. */
  #splitOrSetAside(row: Row, problem: string): void {
    const told = entriesOf(JSON.parse(row.entry));
    if (told.length === 1) {
      this.#setAside(row, problem);
      return;
    }
    this.#delete(row.id);
    for (const { attemptId, entry } of told) {
      this.#sql.exec("INSERT INTO outbox (entry, attempt_id) VALUES (?, ?)", JSON.stringify(entry), attemptId);
    }
  }

  /** Moves an entry that cannot be sent to where it blocks no other, for a person to look at. */
  #setAside({ id, entry }: Row, problem: string): void {
    console.error("outbox: an entry cannot be recorded and was set aside", { id, problem });
    this.#sql.exec("INSERT INTO outbox_set_aside (entry, problem) VALUES (?, ?)", entry, problem);
    this.#delete(id);
  }

  #delete(id: number): void {
    this.#written.delete(id);
    this.#sql.exec("DELETE FROM outbox WHERE id = ?", id);
  }

  #delayMs(): number {
    return Math.min(retryMaxMs, flushDelayMs * 2 ** Math.min(this.#failures, 10));
  }
}

/** What a row tells, one by one; the attempt's name where the row has several. */
function entriesOf(row: unknown): { attemptId: AttemptId | null; entry: unknown }[] {
  const ended = endedSchema.safeParse(row).data?.ended;
  return ended?.map(([attemptId, entry]) => ({ attemptId, entry })) ?? [{ attemptId: null, entry: row }];
}

function problemOf(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ");
}

type Row = { id: number; entry: string };
type HeldRow = Row & { attempt_id: string; lease: string | null };
