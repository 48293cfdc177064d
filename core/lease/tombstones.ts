import type { AttemptId } from "../ids.ts";
import { limits } from "../limits.ts";
import type { AttemptRecord, TaskRecord } from "../record/entry.ts";
import type { AttemptEnd } from "./attempt-event.ts";
import { type Lease, newLease } from "./lease.ts";

/** An ended attempt, for a reader that did not hear its end. */
export interface Tombstone {
  lease: Lease;
  end: AttemptEnd;
  /** Number of its pieces; null where a reset forgot it. */
  nextSeq: number | null;
  /** False where its pieces could not be checked if they came again. */
  canReplay: boolean;
  endedAtMs: number;
}

/**
 * Tombstones of one node at most; past it the oldest go, and a reader that comes for one begins elsewhere. A reader comes
 * back within 2 s (`core/task/pauses.ts`), and an object takes about 1,000 messages a second. Each stone is a kilobyte
 * of what a full collection of the isolate goes through, while all its objects stand still (docs/speed.md).
 */
const mostStones = 2_000;

/** Ended attempts, for as long as a reader may come back for their end. In the order in which they ended. */
export class Tombstones {
  readonly #stones = new Map<AttemptId, Tombstone>();
  /** Ended attempts that the node was not yet told to forget. */
  #unsettled: { attemptId: AttemptId; endedAtMs: number }[] = [];

  get size(): number {
    return this.#stones.size;
  }

  get hasUnsettled(): boolean {
    return this.#unsettled.length > 0;
  }

  get(attemptId: AttemptId, nowMs: number): Tombstone | undefined {
    const stone = this.#stones.get(attemptId);
    return stone !== undefined && nowMs - stone.endedAtMs < limits.leaseGraceMs ? stone : undefined;
  }

  add(lease: Lease, end: AttemptEnd, nowMs: number): void {
    const { attemptId } = lease.terms;
    this.#put({ lease, end, nextSeq: lease.nextSeq, canReplay: true, endedAtMs: nowMs });
    this.#unsettled.push({ attemptId, endedAtMs: nowMs });
  }

  /** Takes an ended attempt back, to be told again: until it has ended anew its node is to forget nothing of it. */
  remove(attemptId: AttemptId): void {
    this.#stones.delete(attemptId);
    this.#unsettled = this.#unsettled.filter((ended) => ended.attemptId !== attemptId);
  }

  /** An end that storage kept: what was told of it nobody knows any more. */
  recover(attemptId: AttemptId, record: TaskRecord, nowMs: number): void {
    const attempt = record.attempts.find((candidate) => candidate.attemptId === attemptId);
    if (attempt === undefined) return;
    const lease = newLease(
      {
        taskId: record.taskId,
        attemptId,
        accountId: record.accountId,
        keyId: record.keyId,
        modelName: record.modelName,
        model: record.modelSha256,
        kind: record.task,
        inputs: 0,
        dimensions: null,
        createdAtMs: record.createdAtMs,
        priorAttempts: record.attempts.filter((candidate) => candidate !== attempt),
        continuedTokens: Math.max(0, record.completionTokens - attempt.completionTokens),
      },
      attempt.nodeId,
      attempt.assignedAtMs,
    );
    lease.attempt = attempt;
    lease.isRecovered = true;
    lease.finishReason = record.finishReason;
    // The record does not say how many vectors were due, nor how long.
    const canReplay = record.task === "chat";
    this.#put({ lease, end: endOf(attempt, record), nextSeq: null, canReplay, endedAtMs: nowMs });
  }

  /** Drops those that nobody comes back for any more. */
  expire(nowMs: number): void {
    for (const [attemptId, { endedAtMs }] of this.#stones) {
      if (nowMs - endedAtMs < limits.leaseGraceMs) return;
      this.#stones.delete(attemptId);
    }
  }

  /** Attempts that ended before a time and that the node has not been told to forget; at most a frame's worth. */
  settledBefore(timeMs: number): AttemptId[] {
    const young = this.#unsettled.findIndex(({ endedAtMs }) => endedAtMs > timeMs);
    const count = Math.min(young === -1 ? this.#unsettled.length : young, limits.heldAttempts);
    return this.#unsettled.splice(0, count).map(({ attemptId }) => attemptId);
  }

  #put(stone: Tombstone): void {
    this.#stones.set(stone.lease.terms.attemptId, stone);
    const oldest = this.#stones.size > mostStones ? this.#stones.keys().next().value : undefined;
    if (oldest !== undefined) this.#stones.delete(oldest);
  }
}

/** What the attempt's reader was told at its end. */
function endOf(attempt: AttemptRecord, { finishReason }: TaskRecord): AttemptEnd {
  const { state, promptTokens, completionTokens } = attempt;
  const reason = attempt.reason ?? "ended";
  switch (state) {
    case "committed":
      return { type: "committed", finishReason: finishReason ?? "stop", promptTokens, completionTokens };
    case "timed_out":
      return { type: "failed", how: "deadline", reason };
    case "lost":
      return { type: "failed", how: "socketGone", reason };
    default:
      return { type: "failed", how: "refuse", reason };
  }
}
