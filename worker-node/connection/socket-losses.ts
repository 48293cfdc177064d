/** Losses that are remembered at most: one each three seconds of an hour, far past what a line may lose. */
const most = 1_200;
const hourMs = 3_600_000;

/** The sockets that a node lost, for its operator to see how good the line is. */
export class SocketLosses {
  readonly #atMs: number[] = [];
  #last: { atMs: number; reason: string } | null = null;

  /** Adds a loss. `nowMs` is milliseconds since the epoch, as everywhere here. */
  add(reason: string, nowMs: number): void {
    this.#last = { atMs: nowMs, reason };
    this.#atMs.push(nowMs);
    if (this.#atMs.length > most) this.#atMs.shift();
  }

  /** The count of the last hour, at most 1,200, and the last loss of all. */
  told(nowMs: number): { lastHour: number; last: { atMs: number; reason: string } | null } {
    return { lastHour: this.#atMs.filter((atMs) => nowMs - atMs < hourMs).length, last: this.#last };
  }
}
