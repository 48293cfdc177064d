import type { AttemptId } from "../ids.ts";
import { type AttemptEvent, stepAttempt } from "../task/attempt.ts";
import type { AckRounds } from "./ack-rounds.ts";
import type { AttemptEnd } from "./attempt-event.ts";
import { isAwaited, type Lease, leaseRecord } from "./lease.ts";
import type { FailedHow, LeaseEffect, Start } from "./lease-effect.ts";
import type { Tombstones } from "./tombstones.ts";

/** How leases end: each in exactly one way, on record once, and with a tombstone for a reader that comes late. */
export class LeaseEnds {
  readonly #leases: Map<AttemptId, Lease>;
  readonly #tombstones: Tombstones;
  readonly #acks: AckRounds;

  constructor(owner: { leases: Map<AttemptId, Lease>; tombstones: Tombstones; acks: AckRounds }) {
    this.#leases = owner.leases;
    this.#tombstones = owner.tombstones;
    this.#acks = owner.acks;
  }

  /** The task ends with this lease: the node stops and says what it had. */
  stop(lease: Lease, state: "cancelled" | "failed", nowMs: number): LeaseEffect[] {
    const { attemptId } = lease.terms;
    if (lease.isReplay) return this.bury(lease, { type: "failed", how: "refuse", reason: state }, nowMs);
    if (lease.ending !== null) return [];
    lease.ending = { state, sinceMs: nowMs };
    const effects: LeaseEffect[] = [];
    if (isAwaited(lease)) {
      effects.push({ type: "start", attemptId, start: { kind: "failed", how: "refuse", reason: state } });
    }
    if (lease.socketLostAtMs === null) effects.push({ type: "send", frame: { type: "cancel", attemptId } });
    return effects;
  }

  /** The node broke the protocol. */
  broke(lease: Lease, problem: string, nowMs: number): LeaseEffect[] {
    const cancel: LeaseEffect = { type: "send", frame: { type: "cancel", attemptId: lease.terms.attemptId } };
    return [cancel, ...this.end(lease, { how: "refuse", detail: `protocol: ${problem}` }, nowMs)];
  }

  /**
   * Ends a lease without a result; its task goes elsewhere, or ends where its caller is gone. `start` is what who waits
   * for the beginning is told, where that says more.
   */
  end(
    lease: Lease,
    { how, detail, start }: { how: FailedHow; detail: string; start?: Start },
    nowMs: number,
  ): LeaseEffect[] {
    const { attemptId } = lease.terms;
    const reason = detail.slice(0, 200);
    const { completionTokens } = lease;
    if (lease.ending !== null) return this.close(lease, { type: how, reason, completionTokens }, nowMs);
    const effects: LeaseEffect[] = [];
    if (isAwaited(lease)) {
      effects.push({ type: "start", attemptId, start: start ?? { kind: "failed", how, reason } });
    }
    // A node that hung may wake: what it was given up for is another's now.
    if (how === "deadline" && lease.socketLostAtMs === null) {
      effects.push({ type: "send", frame: { type: "cancel", attemptId } });
    }
    const end: AttemptEnd = { type: "failed", how, reason };
    if (lease.isReplay) return [...effects, ...this.bury(lease, end, nowMs)];
    lease.attempt = stepAttempt(lease.attempt, { type: how, reason, completionTokens }, nowMs) ?? lease.attempt;
    return [...effects, ...this.recorded(lease, end, nowMs)];
  }

  /** Ends a lease whose caller is gone, with what the node had done. */
  close(
    lease: Lease,
    event: Pick<AttemptEvent, "reason" | "promptTokens" | "completionTokens"> & { type: "cancel" | FailedHow },
    nowMs: number,
  ): LeaseEffect[] {
    lease.attempt = stepAttempt(lease.attempt, event, nowMs) ?? lease.attempt;
    return this.recorded(lease, { type: "failed", how: "refuse", reason: event.reason ?? event.type }, nowMs);
  }

  /** Ends a lease whose node did not say what it had: what came counts. */
  unanswered(lease: Lease, nowMs: number): LeaseEffect[] {
    const { ending, completionTokens } = lease;
    return this.close(lease, { type: "cancel", reason: ending?.state ?? "cancelled", completionTokens }, nowMs);
  }

  /** Puts an end on record, and tells it after: what was heard is not lost. */
  recorded(lease: Lease, end: AttemptEnd, nowMs: number): LeaseEffect[] {
    const { attemptId } = lease.terms;
    const record = leaseRecord(lease, nowMs);
    return [{ type: "record", attemptId, record, isKept: lease.isKept }, ...this.bury(lease, end, nowMs)];
  }

  /** The end of what is on record already. */
  bury(lease: Lease, end: AttemptEnd, nowMs: number): LeaseEffect[] {
    const { attemptId } = lease.terms;
    this.#leases.delete(attemptId);
    this.#tombstones.add(lease, end, nowMs);
    this.#acks.wake(nowMs);
    return [{ type: "tell", attemptId, event: end }];
  }
}
