/**
 * The one alarm of an object, shared by all it must do later. Each duty says when it is next due; the alarm is set to
 * the earliest. Duties are asked again at every ring, so a ring that comes twice, late or after a reset does no harm.
 */
export class Alarm {
  readonly #storage: DurableObjectStorage;
  readonly #duties: readonly Duty[];
  #setForMs: number | undefined;

  constructor(storage: DurableObjectStorage, duties: readonly Duty[]) {
    this.#storage = storage;
    this.#duties = duties;
  }

  /** Rings at `atMs` or before. */
  async ringBy(atMs: number): Promise<void> {
    if (this.#isSetBy(atMs)) return;
    const stored = this.#setForMs === undefined ? await this.#storage.getAlarm() : this.#setForMs;
    // Another caller may have set it while this one was reading.
    if (this.#isSetBy(atMs)) return;
    if (stored !== null && stored <= atMs && stored > Date.now()) {
      this.#setForMs = stored;
      return;
    }
    this.#setForMs = atMs;
    await this.#storage.setAlarm(atMs);
  }

  #isSetBy(atMs: number): boolean {
    return this.#setForMs !== undefined && this.#setForMs <= atMs;
  }

  /** Does every duty and sets the next ring. Never throws: after six failures the platform stops an alarm. */
  async ring(nowMs: number): Promise<void> {
    this.#setForMs = undefined;
    for (const duty of this.#duties) {
      const nextMs = await duty(nowMs).catch((error: unknown) => {
        console.error("alarm: a duty failed and is tried again", { error: String(error) });
        return nowMs + 5_000;
      });
      if (nextMs !== undefined) await this.ringBy(nextMs);
    }
  }
}

/** Something an object does later. Returns when it is next due, in milliseconds since the epoch, or `undefined`. */
export type Duty = (nowMs: number) => Promise<number | undefined>;
