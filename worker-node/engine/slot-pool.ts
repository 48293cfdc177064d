/** A place to run one task, with the tokens whose state it still holds from the last one. */
export interface Slot {
  cachedTokens(): readonly number[];
}

/**
 * A bounded set of slots, lent one at a time; those who find none wait in the order they came.
 *
 * Of the free slots the one that shares the longest beginning with the new prompt is lent, so that the least must be
 * read again; of equals the one that has been idle longest.
 */
export class SlotPool<S extends Slot> {
  /** Idle longest first. */
  readonly #free: S[];
  readonly #waiting: { tokens: readonly number[]; lend: (slot: S) => void }[] = [];

  constructor(slots: readonly S[]) {
    this.#free = [...slots];
  }

  /** A slot, or `undefined` when `signal` aborts while waiting for one. */
  async acquire(tokens: readonly number[], signal: AbortSignal): Promise<S | undefined> {
    if (signal.aborted) return undefined;
    const slot = this.#take(tokens);
    if (slot !== undefined) return slot;
    return new Promise<S | undefined>((resolve) => {
      const leave = () => {
        const at = this.#waiting.indexOf(waiter);
        if (at >= 0) this.#waiting.splice(at, 1);
        resolve(undefined);
      };
      const waiter = {
        tokens,
        lend: (lent: S) => {
          signal.removeEventListener("abort", leave);
          resolve(lent);
        },
      };
      this.#waiting.push(waiter);
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  /** Gives a slot back, or another in its place, to whoever waits longest. */
  release(slot: S): void {
    this.#free.push(slot);
    const next = this.#waiting.shift();
    if (next === undefined) return;
    const taken = this.#take(next.tokens);
    if (taken === undefined) throw new Error("a slot was released and none is free");
    next.lend(taken);
  }

  #take(tokens: readonly number[]): S | undefined {
    let best: { slot: S; shared: number } | undefined;
    for (const slot of this.#free) {
      const shared = sharedLength(slot.cachedTokens(), tokens);
      if (best === undefined || shared > best.shared) best = { slot, shared };
    }
    if (best === undefined) return undefined;
    this.#free.splice(this.#free.indexOf(best.slot), 1);
    return best.slot;
  }
}

function sharedLength(left: readonly number[], right: readonly number[]): number {
  let length = 0;
  while (length < left.length && length < right.length && left[length] === right[length]) length++;
  return length;
}
