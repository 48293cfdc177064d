import type { Outbox } from "./outbox.ts";

/**
 * Flushes an outbox soon, by a timer: setting an alarm for each burst would be a stored row of its own. The owner's
 * alarm comes after it where a reset has lost the timer.
 */
export class FlushTimer {
  readonly #outbox: Outbox;
  readonly #waitUntil: (promise: Promise<unknown>) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(outbox: Outbox, waitUntil: (promise: Promise<unknown>) => void) {
    this.#outbox = outbox;
    this.#waitUntil = waitUntil;
  }

  /** Flushes at `atMs`, milliseconds since the epoch, or when it was going to anyway; and again while Postgres is away. */
  flushBy(atMs: number): void {
    this.#timer ??= setTimeout(
      () => {
        this.#timer = undefined;
        const flushed = this.#outbox.flush(Date.now()).then((againAtMs) => {
          if (againAtMs !== undefined) this.flushBy(againAtMs);
        });
        this.#waitUntil(flushed);
      },
      Math.max(0, atMs - Date.now()),
    );
  }
}
