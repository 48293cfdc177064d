/** What one push lets out: text that is surely no part of a stop string, and whether a stop string has ended the answer. */
export interface StopMatch {
  text: string;
  stopped: boolean;
}

/**
 * Cuts an answer before the first stop string, however the text arrives in pieces.
 *
 * Text that may be the beginning of a stop string is held back until the next pieces decide. "First" is the stop
 * string that is complete first (of two complete at the same character, the longer), so the cut doesn't depend on
 * where the pieces were split. After a stop nothing more comes out.
 */
export class StopMatcher {
  readonly #stops: readonly string[];
  #held = "";
  #matched: string | undefined;

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop.length > 0);
  }

  /** The stop string that ended the answer. */
  get matched(): string | undefined {
    return this.#matched;
  }

  push(text: string): StopMatch {
    if (this.#matched !== undefined) return { text: "", stopped: true };
    const seen = this.#held + text;
    const found = firstStop(seen, this.#stops);
    if (found !== undefined) {
      this.#matched = found.stop;
      this.#held = "";
      return { text: seen.slice(0, found.start), stopped: true };
    }
    const keep = heldLength(seen, this.#stops);
    this.#held = seen.slice(seen.length - keep);
    return { text: seen.slice(0, seen.length - keep), stopped: false };
  }

  /** The text held back, once it is known that no more comes; empty after a stop. */
  flush(): string {
    const rest = this.#held;
    this.#held = "";
    return rest;
  }
}

/** The stop string that is complete first and where it begins, or `undefined` where there is none. */
function firstStop(text: string, stops: readonly string[]): { stop: string; start: number } | undefined {
  let best: { stop: string; start: number; end: number } | undefined;
  for (const stop of stops) {
    const start = text.indexOf(stop);
    if (start < 0) continue;
    const end = start + stop.length;
    if (best === undefined || end < best.end || (end === best.end && start < best.start)) best = { stop, start, end };
  }
  return best;
}

/** Length of the longest end of `text` that is the beginning of a stop string. */
function heldLength(text: string, stops: readonly string[]): number {
  let longest = 0;
  for (const stop of stops) {
    for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
      if (text.endsWith(stop.slice(0, length))) {
        longest = length;
        break;
      }
    }
  }
  return longest;
}
