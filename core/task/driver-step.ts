import type { Commitment } from "../commitment/commitment.ts";
import type { AttemptId, NodeId } from "../ids.ts";
import type { AttemptEvent } from "../lease/attempt-event.ts";
import type { FailedHow, TaskFault } from "../lease/lease-effect.ts";
import type { TaskRecord } from "../record/entry.ts";
import type { RefusalCode } from "../refusal.ts";
import type { CheckReport, Logprob } from "../wire/node-frame.ts";

/** What a call came to that threw: it may have taken effect or not. */
export interface Broken {
  kind: "broken";
  reason: string;
}

/** A pool's answer to a claim. */
export type ClaimOutcome =
  | { kind: "lease"; nodeId: NodeId }
  | { kind: "refuse"; code: "no_live_node" | "no_free_node" | "queue_full" | "no_validator" }
  | Broken;

/** What is told of an attempt: `early` was there already; `events` stands for what follows, null where `early` has the end. */
interface Accepted {
  kind: "accepted";
  promptTokens: number;
  early: readonly AttemptEvent[];
  events: object | null;
}

/** What became of handing the task to a node (`edge/objects/run.ts` says what each means). */
export type RunOutcome =
  | Accepted
  | { kind: "full" }
  | { kind: "offline" }
  | { kind: "failed"; how: FailedHow; reason: string }
  | { kind: "refused"; fault: TaskFault }
  | Broken;

/** What became of coming back for an attempt. */
export type AttachOutcome = Accepted | { kind: "unknown" } | Broken;

/** How an answer came to be, for who checks it. */
export interface Making {
  /** Ids of all its tokens, and the text that the caller was given for them. */
  tokenIds: readonly number[];
  text: string;
  /** The attempts whose pieces are in it, in order; `answerTokens` counts all tokens up to the end of each. */
  parts: readonly { attemptId: AttemptId; nodeId: NodeId; promptTokens: number; answerTokens: number }[];
  /** What the last of them committed to, and the prompt as it read it; null where it told neither. */
  commitment: Commitment | null;
  promptIds: readonly number[] | null;
}

/** Whether a node's object knew the attempt it was told to stop, and so puts the task's end on record. */
export type CancelOutcome = { kind: "known" } | { kind: "unknown" } | Broken;

/** How a task ended that no node's object can tell of. */
export type TaskEnding = Pick<
  TaskRecord,
  "state" | "finishReason" | "errorCode" | "promptTokens" | "completionTokens" | "endedAtMs" | "attempts"
>;

/** A part of the answer, for its reader. `text` may be empty: half a character. */
export type Delivery =
  | { type: "deliver"; text: string; tokenIds: readonly number[]; logprobs?: readonly Logprob[] }
  | { type: "deliverVectors"; vectors: readonly { index: number; float32: string }[] }
  /** What a check came to; one that comes after a `restart` takes the place of one before. */
  | { type: "deliverReport"; report: CheckReport }
  /** The vectors or the report that came so far count no more: another node begins anew. */
  | { type: "restart" }
  /** The answer is whole. Counts are of all of it, whichever nodes made it. */
  | {
      type: "end";
      finishReason: "stop" | "length";
      /** The stop sequence that ended it, where that is known. */
      stopSequence?: string;
      promptTokens: number;
      completionTokens: number;
    };

/**
 * What the driver's owner must now do, in order. Of `claim`, `run`, `attach` and `wait` at most one is under way at a
 * time, and its outcome goes back to the driver; the others need no waiting.
 */
export type DriverEffect =
  | Delivery
  /** Ask the pool, and wait at most so long; {@link TaskEffect} says what the lists mean. Answer with `claimed`. */
  | {
      type: "claim";
      attemptId: AttemptId;
      exclude: readonly NodeId[];
      avoid: readonly NodeId[];
      isPatient: boolean;
      waitMs: number;
    }
  /** Hand the task over, with the token ids that the caller has. Answer with `ran`; then feed `told`, or `broken`. */
  | { type: "run"; attemptId: AttemptId; nodeId: NodeId; continues: readonly number[] }
  /** Come back for an attempt. What was read of it before is at an end. Answer with `attached`; then as after a run. */
  | {
      type: "attach";
      attemptId: AttemptId;
      nodeId: NodeId;
      nextSeq: number;
      completionTokens: number;
      vectors: readonly number[];
    }
  /** Answer with `waited`. */
  | { type: "wait"; ms: number }
  /** Give the pool a claim back, or take a ticket out of its queue. */
  | { type: "withdraw"; attemptId: AttemptId }
  /** After a pause, tell a node's object that nobody wants the attempt any more. Answer with `cancelAnswered`. */
  | { type: "cancelAttempt"; attemptId: AttemptId; nodeId: NodeId; afterMs: number }
  /** Put the end on record. */
  | { type: "record"; ending: TaskEnding }
  /** Say no to the caller; `fault` is the node's reason where the task itself was at fault. */
  | { type: "refuse"; code: RefusalCode; fault: TaskFault | undefined };
