import type { AttemptId } from "../ids.ts";
import type { TaskRecord } from "../record/entry.ts";
import type { FailReason } from "../wire/node-frame.ts";
import type { RouterFrame } from "../wire/router-frame.ts";
import type { AttemptEnd, AttemptEvent } from "./attempt-event.ts";
import type { KeptLease } from "./lease.ts";

/** Reasons that are the task's own fault: no other node would do it either. */
export type TaskFault = Extract<FailReason, { code: "context_length_exceeded" | "unsupported" }>;

export type FailedHow = Extract<AttemptEnd, { type: "failed" }>["how"];

/** How a lease began. */
export type Start =
  | { kind: "acked"; promptTokens: number }
  | { kind: "failed"; how: FailedHow; reason: string }
  | { kind: "refused"; fault: TaskFault };

/** What the book's owner must now do, in order. */
export type LeaseEffect =
  /** To the node's socket; there is one. */
  | { type: "send"; frame: RouterFrame }
  /** Who waits for the lease to begin is told. */
  | { type: "start"; attemptId: AttemptId; start: Start }
  /** To who reads the attempt; nobody may. After an end nothing follows. */
  | { type: "tell"; attemptId: AttemptId; event: AttemptEvent }
  /** The reader's telling stops without an end. */
  | { type: "hangUp"; attemptId: AttemptId }
  /** To storage: the lease is open. */
  | { type: "keep"; kept: KeptLease }
  /** To storage, in place of what was kept of the attempt: how it ended. */
  | { type: "record"; attemptId: AttemptId; record: TaskRecord; isKept: boolean }
  /** The node gives no sign: its socket counts as lost and is to be closed. */
  | { type: "dropSocket" };

/** What a reader that comes back has: the piece it wants next, the tokens and the vectors in those before. */
export interface ReaderWish {
  attemptId: AttemptId;
  nextSeq: number;
  completionTokens: number;
  vectors: readonly number[];
}

/** What a reader that comes back gets. */
export type Attached =
  /** Its pieces go on. Where it is not yet acked as far as anybody here knows, a `start` follows. */
  | { kind: "open"; promptTokens: number; isAcked: boolean }
  /** Nothing is left but the end. */
  | { kind: "over"; promptTokens: number; end: AttemptEnd }
  | { kind: "unknown" };
