import type { AttemptId } from "../../core/ids.ts";
import type { KeptLease } from "../../core/lease/lease.ts";
import { limits } from "../../core/limits.ts";
import type { RecordEntry, TaskRecord } from "../../core/record/entry.ts";
import type { Ground } from "./ground.ts";
import type { Postgres } from "./postgres.ts";

/** How a task ended, and the attempt that ended it. */
export interface Ended {
  readonly attemptId: AttemptId;
  readonly record: TaskRecord;
}

/** One row of an outbox: an open lease, tasks that ended, or another entry on its way to Postgres. */
type Row =
  | { readonly type: "lease"; readonly attemptId: AttemptId; readonly lease: KeptLease }
  | { readonly type: "ended"; readonly ended: readonly Ended[] }
  | { readonly type: "entry"; readonly entry: RecordEntry };

/** What an object's outbox has in storage. */
export interface OutboxStorage {
  readonly rows: Map<number, Row>;
  nextId: number;
}

export const emptyOutbox = (): OutboxStorage => ({ rows: new Map(), nextId: 1 });

const flushDelayMs = 500;
const retryMaxMs = 30_000;
const rowEnds = 50;

/** The outbox as `edge/objects/outbox.ts` keeps it, over rows of the simulator. */
export class OutboxShell {
  readonly #storage: OutboxStorage;
  readonly #postgres: Postgres;
  readonly #ground: Ground;
  readonly #held = new Map<AttemptId, number>();
  #failures = 0;
  #whenFlushed: ((retryAtMs: number | undefined) => void)[] | undefined;
  #isGone = false;

  constructor(storage: OutboxStorage, { postgres, ground }: { postgres: Postgres; ground: Ground }) {
    this.#storage = storage;
    this.#postgres = postgres;
    this.#ground = ground;
  }

  /** True while a batch is on its way. */
  get isFlushing(): boolean {
    return this.#whenFlushed !== undefined;
  }

  /** Keeps entries; returns when {@link flush} is due. */
  add(entries: readonly RecordEntry[], nowMs: number): number {
    for (const entry of entries) this.#insert({ type: "entry", entry });
    return nowMs + this.#delayMs();
  }

  hold(attemptId: AttemptId, lease: KeptLease): void {
    this.#held.set(attemptId, this.#insert({ type: "lease", attemptId, lease }));
  }

  release(ended: readonly Ended[], nowMs: number): number {
    const fresh: Ended[] = [];
    for (const end of ended) {
      const id = this.#held.get(end.attemptId);
      this.#held.delete(end.attemptId);
      if (id === undefined) fresh.push(end);
      else {
        this.#ground.tally.add("rows written");
        this.#storage.rows.set(id, { type: "ended", ended: [end] });
      }
    }
    for (let start = 0; start < fresh.length; start += rowEnds) {
      this.#insert({ type: "ended", ended: fresh.slice(start, start + rowEnds) });
    }
    return nowMs + this.#delayMs();
  }

  recover(): { open: KeptLease[]; ended: Ended[] } {
    const open: KeptLease[] = [];
    const ended: Ended[] = [];
    for (const [id, row] of [...this.#storage.rows].toReversed()) {
      if (row.type === "ended") ended.push(...row.ended.toReversed());
      if (row.type !== "lease") continue;
      if (this.#ground.bugs.has("heldRowForgotten")) this.#storage.rows.delete(id);
      else {
        this.#held.set(row.attemptId, id);
        open.push(row.lease);
      }
    }
    return { open, ended: ended.slice(0, Math.max(0, limits.heldAttempts - open.length)) };
  }

  /** Sends what is there, batch after batch; `whenFlushed` hears when to try again, if ever. */
  flush(nowMs: () => number, whenFlushed: (retryAtMs: number | undefined) => void): void {
    if (this.#storage.rows.size === 0) {
      whenFlushed(undefined);
      return;
    }
    if (this.#whenFlushed !== undefined) {
      this.#whenFlushed.push(whenFlushed);
      return;
    }
    this.#whenFlushed = [whenFlushed];
    const end = (retryAtMs: number | undefined) => {
      const waiting = this.#whenFlushed ?? [];
      this.#whenFlushed = undefined;
      for (const told of waiting) told(retryAtMs);
    };
    const sendNext = () => {
      const batch: number[] = [];
      const entries: RecordEntry[] = [];
      for (const [id, row] of this.#storage.rows) {
        const told = entriesOf(row);
        if (entries.length + told.length > limits.outboxBatchEntries) break;
        if (told.length > 0) batch.push(id);
        entries.push(...told);
      }
      if (batch.length === 0) {
        end(undefined);
        return;
      }
      if (this.#ground.bugs.has("batchForgotten")) for (const id of batch) this.#storage.rows.delete(id);
      this.#postgres.write(
        entries,
        () => {
          if (this.#isGone) return;
          this.#failures = 0;
          for (const id of batch) this.#storage.rows.delete(id);
          this.#ground.tally.add("rows deleted", batch.length);
          sendNext();
        },
        () => {
          if (this.#isGone) return;
          this.#failures += 1;
          end(this.#ground.bugs.has("retryForgotten") ? undefined : nowMs() + this.#delayMs());
        },
      );
    };
    sendNext();
  }

  /** The object's memory is gone; what Postgres answers now reaches nobody. */
  dropped(): void {
    this.#isGone = true;
  }

  #insert(row: Row): number {
    const id = this.#storage.nextId;
    this.#storage.nextId += 1;
    this.#storage.rows.set(id, row);
    this.#ground.tally.add("rows written");
    return id;
  }

  #delayMs(): number {
    return Math.min(retryMaxMs, flushDelayMs * 2 ** Math.min(this.#failures, 10));
  }
}

/** What a row tells Postgres. */
function entriesOf(row: Row): RecordEntry[] {
  switch (row.type) {
    case "lease":
      return [];
    case "ended":
      return row.ended.map(({ record }) => record);
    case "entry":
      return [row.entry];
  }
}
