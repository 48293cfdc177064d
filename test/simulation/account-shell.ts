import type { TaskRecord } from "../../core/record/entry.ts";
import type { Instance, ObjectHost } from "./object-host.ts";
import { OutboxShell, type OutboxStorage } from "./outbox-shell.ts";
import type { Postgres } from "./postgres.ts";

/** An account's object, of which the simulator needs the outbox: ends of tasks that no node's object can tell of. */
export class AccountShell implements Instance {
  readonly #host: ObjectHost<AccountShell>;
  readonly #outbox: OutboxShell;

  constructor(host: ObjectHost<AccountShell>, { storage, postgres }: { storage: OutboxStorage; postgres: Postgres }) {
    this.#host = host;
    this.#outbox = new OutboxShell(storage, { postgres, ground: host.ground });
  }

  recordTask(record: TaskRecord): void {
    this.#host.ringBy(this.#outbox.add([record], this.#host.nowMs));
  }

  alarm(done: () => void): void {
    this.#outbox.flush(
      () => this.#host.nowMs,
      (retryAtMs) => {
        if (retryAtMs !== undefined) this.#host.ringBy(retryAtMs);
        done();
      },
    );
  }

  dropped(): void {
    this.#outbox.dropped();
  }
}
