/** Writes under load are gathered for this long, so that many tasks cost one commit of storage. */
const gatherMs = 20;

/**
 * Writes that need not be on disk before the next frame goes out: made together, soon. A write holds back everything
 * that its object sends until it is on disk, so a record that waits for the end of its turn costs its caller nothing.
 * One that throws is logged and holds up no other.
 */
export class LaterWrites {
  #writes: (() => void)[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #madeAtMs = 0;
  readonly #last: () => void;

  /** `last` is the last write of each round, for what gathers by itself. */
  constructor(last: () => void) {
    this.#last = last;
  }

  /**
   * Makes a write at the end of this turn where none was made of late, else within {@link gatherMs}, also where the clock
   * was set back meanwhile.
   */
  add(write: () => void): void {
    this.#writes.push(write);
    this.due();
  }

  /** The same where the last write has something to do. */
  due(): void {
    const restMs = Math.min(gatherMs, Math.max(0, this.#madeAtMs + gatherMs - Date.now()));
    this.#timer ??= setTimeout(() => this.make(), restMs);
  }

  /** Makes what is due now. */
  make(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#madeAtMs = Date.now();
    for (const write of [...this.#writes.splice(0), this.#last]) {
      try {
        write();
      } catch (error) {
        console.error("storage: a write was not made", { error: String(error) });
      }
    }
  }
}
