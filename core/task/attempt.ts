import type { AttemptId, NodeId } from "../ids.ts";
import type { AttemptRecord } from "../record/entry.ts";
import { type AttemptEventType, type AttemptState, attemptMoves, type Moves, nextState } from "./attempt-moves.ts";

/** One node's go at a task. Times are milliseconds since the epoch, `null` until they happen. */
export interface Attempt {
  readonly attemptId: AttemptId;
  readonly nodeId: NodeId;
  readonly state: AttemptState;
  readonly reason: string | null;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly assignedAtMs: number;
  readonly ackedAtMs: number | null;
  readonly firstTokenAtMs: number | null;
  readonly endedAtMs: number | null;
}

/** A fresh attempt, just handed to its node. */
export function newAttempt({ attemptId, nodeId }: { attemptId: AttemptId; nodeId: NodeId }, nowMs: number): Attempt {
  return {
    attemptId,
    nodeId,
    state: "assigned",
    reason: null,
    promptTokens: 0,
    completionTokens: 0,
    assignedAtMs: nowMs,
    ackedAtMs: null,
    firstTokenAtMs: null,
    endedAtMs: null,
  };
}

export interface AttemptEvent {
  type: AttemptEventType;
  /** Why, for an event that ends the attempt without a result. */
  reason?: string;
  /** Counts where the event brings them. */
  promptTokens?: number;
  completionTokens?: number;
}

const moves: Moves<AttemptState, AttemptEventType> = attemptMoves;

/**
 * The attempt after one event, or `undefined` where its state does not know the event: late, doubled and foreign
 * events change nothing, and the caller counts them.
 */
export function stepAttempt(attempt: Attempt, event: AttemptEvent, nowMs: number): Attempt | undefined {
  const state = nextState(moves, attempt.state, event.type);
  if (state === undefined) return undefined;
  return {
    ...attempt,
    state,
    reason: event.reason ?? attempt.reason,
    promptTokens: event.promptTokens ?? attempt.promptTokens,
    completionTokens: event.completionTokens ?? attempt.completionTokens,
    ackedAtMs: state === "acked" ? nowMs : attempt.ackedAtMs,
    endedAtMs: isAttemptOver(state) ? nowMs : attempt.endedAtMs,
  };
}

/** True once the node owes nothing more. */
export function isAttemptOver(state: AttemptState): boolean {
  return state === "committed" || state === "rejected" || state === "timed_out" || state === "lost";
}

/** The attempt as the record keeps it; one still open counts as ended now. */
export function attemptRecord(attempt: Attempt, nowMs: number): AttemptRecord {
  return { ...attempt, endedAtMs: attempt.endedAtMs ?? nowMs };
}
