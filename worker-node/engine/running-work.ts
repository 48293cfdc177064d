/** The work an engine must see through before it may free its model. */
export class RunningWork {
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;

  /** Runs `action` and counts it as running until it settles; throws once closed. */
  async track<T>(action: () => Promise<T>): Promise<T> {
    this.ensureOpen();
    const work = action();
    this.#running.add(work);
    try {
      return await work;
    } finally {
      this.#running.delete(work);
    }
  }

  ensureOpen(): void {
    if (this.#closed) throw new Error("the engine is disposed");
  }

  /** Refuses new work and resolves when what runs has settled, well or not. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#running);
  }
}
