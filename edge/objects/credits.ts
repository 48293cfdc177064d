import type { AttemptId, ModelHash } from "../../core/ids.ts";

/** For each model of a node, in the order of its hello: credits granted and tasks sent on this socket. */
export type CreditTotals = [granted: number, sent: number][];

/**
 * What one socket's node has agreed to take and what it was sent, per model. Totals, not differences, so that a task
 * that crosses a `pull` on its way is never counted twice.
 */
export class Credits {
  readonly #models: Map<ModelHash, { granted: number; sent: number; unconfirmed: AttemptId[] }>;

  /** `totals` are those of {@link totals} before a sleep; empty for a fresh socket. */
  constructor(models: readonly ModelHash[], totals: CreditTotals) {
    this.#models = new Map(
      models.map((model, index) => {
        const [granted, sent] = totals[index] ?? [0, 0];
        return [model, { granted, sent, unconfirmed: [] }];
      }),
    );
  }

  /** The node's `pull`. A total below what it gave before, or for a model it does not hold, changes nothing. */
  grant(model: ModelHash, creditsTotal: number): void {
    const entry = this.#models.get(model);
    if (entry !== undefined) entry.granted = Math.max(entry.granted, creditsTotal);
  }

  /** Uses a credit for an attempt; false where none is left. */
  take(model: ModelHash, attemptId: AttemptId): boolean {
    const entry = this.#models.get(model);
    if (entry === undefined || entry.sent >= entry.granted) return false;
    entry.sent += 1;
    entry.unconfirmed.push(attemptId);
    return true;
  }

  /** What to tell the pool now: credits left, and the attempts that arrived since it was last told. */
  offer(model: ModelHash): { free: number; taken: AttemptId[] } {
    const entry = this.#models.get(model);
    return entry === undefined
      ? { free: 0, taken: [] }
      : { free: entry.granted - entry.sent, taken: entry.unconfirmed.splice(0) };
  }

  /** Tasks of a model that the node would take now. */
  free(model: ModelHash): number {
    const entry = this.#models.get(model);
    return entry === undefined ? 0 : entry.granted - entry.sent;
  }

  /** What must survive the object's sleep: 2 numbers a model. */
  totals(): CreditTotals {
    return [...this.#models.values()].map(({ granted, sent }) => [granted, sent]);
  }
}
