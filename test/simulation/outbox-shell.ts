import type { AttemptId } from "../../core/ids.ts";
import type { KeptLease } from "../../core/lease/lease.ts";
import { limits } from "../../core/limits.ts";
import type { RecordEntry, TaskRecord } from "../../core/record/entry.ts";
import type { Ground } from "./ground.ts";
import type { Postgres } from "./postgres.ts";

/** One row of an outbox: an open lease, or an entry on its way to Postgres. */
interface Row {
  readonly attemptId: AttemptId | undefined;
  lease: KeptLease | undefined;
  entry: RecordEntry | undefined;
}

/** What an object's outbox has in storage. */
export interface OutboxStorage {
  readonly rows: Map<number, Row>;
  nextId: number;
}

export const emptyOutbox = (): OutboxStorage => ({ rows: new Map(), nextId: 1 });

const flushDelayMs = 500;
const retryMaxMs = 30_000;

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
    for (const entry of entries) this.#insert({ attemptId: undefined, lease: undefined, entry });
    return nowMs + this.#delayMs();
  }

  hold(attemptId: AttemptId, lease: KeptLease): void {
    this.#held.set(attemptId, this.#insert({ attemptId, lease, entry: undefined }));
  }

  release(attemptId: AttemptId, entry: RecordEntry, nowMs: number): number {
    const id = this.#held.get(attemptId);
    this.#held.delete(attemptId);
    if (id === undefined) return this.add([entry], nowMs);
    this.#ground.tally.add("rows written");
    this.#storage.rows.set(id, { attemptId, lease: undefined, entry });
    return nowMs + this.#delayMs();
  }

  recover(): { open: KeptLease[]; ended: { attemptId: AttemptId; record: TaskRecord }[] } {
    const open: KeptLease[] = [];
    const ended: { attemptId: AttemptId; record: TaskRecord }[] = [];
    const rows = [...this.#storage.rows].filter(([, row]) => row.attemptId !== undefined).toReversed();
    for (const [id, { attemptId, lease, entry }] of rows.slice(0, limits.heldAttempts)) {
      if (attemptId === undefined) continue;
      if (lease !== undefined) {
        if (this.#ground.bugs.has("heldRowForgotten")) {
          this.#storage.rows.delete(id);
          continue;
        }
        this.#held.set(attemptId, id);
        open.push(lease);
      } else if (entry?.kind === "task") ended.push({ attemptId, record: entry });
    }
    return { open, ended };
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
      const batch = [...this.#storage.rows]
        .filter(([, row]) => row.entry !== undefined)
        .slice(0, limits.outboxBatchRows);
      if (batch.length === 0) {
        end(undefined);
        return;
      }
      if (this.#ground.bugs.has("batchForgotten")) for (const [id] of batch) this.#storage.rows.delete(id);
      this.#postgres.write(
        batch.flatMap(([, { entry }]) => (entry === undefined ? [] : [entry])),
        () => {
          if (this.#isGone) return;
          this.#failures = 0;
          for (const [id] of batch) this.#storage.rows.delete(id);
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
