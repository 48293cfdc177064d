import type { AttemptId } from "../ids.ts";
import { limits } from "../limits.ts";
import type { RouterFrame } from "../wire/router-frame.ts";
import type { Lease } from "./lease.ts";
import type { Tombstones } from "./tombstones.ts";

/** How often a node hears what it may forget. A piece is acked one round later, when its reader has it. */
const everyMs = 2_500;

/** Tells a node, round by round, which pieces and which ended attempts it may forget. */
export class AckRounds {
  /** Where each attempt was at the round before, and what of it the node has been told to forget. */
  #before = new Map<AttemptId, { nextSeq: number; ackedSeq: number }>();
  #dueMs = Number.POSITIVE_INFINITY;

  /** When the next round is due, milliseconds since the epoch; infinite while there is nothing to ack. */
  get dueMs(): number {
    return this.#dueMs;
  }

  /** Something is open or has just ended. */
  wake(nowMs: number): void {
    if (this.#dueMs === Number.POSITIVE_INFINITY) this.#dueMs = nowMs + everyMs;
  }

  /** A reader has come back for less than was told: what it has is seen anew. */
  forget(attemptId: AttemptId): void {
    this.#before.delete(attemptId);
  }

  /**
   * One round. Returns the frame to send, or `undefined` where there is nothing new to forget. Nothing is acked of an
   * attempt whose reader is gone, or `isBehind`: what it was told may still wait here for it.
   */
  round(
    leases: ReadonlyMap<AttemptId, Lease>,
    { tombstones, isBehind }: { tombstones: Tombstones; isBehind: (attemptId: AttemptId) => boolean },
    nowMs: number,
  ): Extract<RouterFrame, { type: "acked" }> | undefined {
    const items: { attemptId: AttemptId; nextSeq: number }[] = [];
    const now = new Map<AttemptId, { nextSeq: number; ackedSeq: number }>();
    for (const [attemptId, { nextSeq, detachedAtMs, acksDue }] of leases) {
      if (nextSeq === null || nextSeq === 0 || detachedAtMs !== null || acksDue > 0 || isBehind(attemptId)) continue;
      const before = this.#before.get(attemptId) ?? { nextSeq: 0, ackedSeq: 0 };
      const isNew = before.nextSeq > before.ackedSeq && items.length < limits.heldAttempts;
      if (isNew) items.push({ attemptId, nextSeq: before.nextSeq });
      now.set(attemptId, { nextSeq, ackedSeq: isNew ? before.nextSeq : before.ackedSeq });
    }
    this.#before = now;
    const over = tombstones.settledBefore(nowMs - everyMs);
    this.#dueMs = leases.size > 0 || tombstones.hasUnsettled ? nowMs + everyMs : Number.POSITIVE_INFINITY;
    return items.length === 0 && over.length === 0 ? undefined : { type: "acked", items, over };
  }
}
