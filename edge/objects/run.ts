import type { AccountId, AttemptId, KeyId, ModelHash, TaskId } from "../../core/ids.ts";
import type { AttemptEvent } from "../../core/lease/attempt-event.ts";
import type { TaskFault } from "../../core/lease/lease-effect.ts";
import type { ModelName } from "../../core/model/model-card.ts";
import type { AttemptRecord } from "../../core/record/entry.ts";
import type { TaskInput } from "../../core/wire/task-input.ts";

/** A task as its Worker hands it to a node's object. */
export interface RunRequest {
  taskId: TaskId;
  attemptId: AttemptId;
  accountId: AccountId;
  keyId: KeyId;
  modelName: ModelName;
  model: ModelHash;
  input: TaskInput;
  /** Token ids of the answer that the caller has from earlier attempts; empty for a first one. */
  continues: readonly number[];
  /** True where nobody reads before the end: everything then comes back at once, without a stream. */
  isWhole: boolean;
  /** True where the node is to tell the prompt's token ids. */
  wantsPromptIds?: boolean;
  /** When the task was admitted, milliseconds since the epoch. */
  createdAtMs: number;
  /** Attempts before this one, so that whoever records the task's end records all of it. */
  priorAttempts: AttemptRecord[];
}

/** A Worker that lost its telling of an attempt, and what it has of it. */
export interface AttachRequest {
  attemptId: AttemptId;
  isWhole: boolean;
  /** The piece it wants next, and the tokens and vectors in those it has. */
  nextSeq: number;
  completionTokens: number;
  vectors: readonly number[];
}

/** What a node's object says of its node, for who decides whether to check its answer. */
export interface NodeStanding {
  operator: AccountId;
  /** Ed25519, raw, base64url. */
  publicKey: string;
  /** Share of its answers that is checked under `sampled`, 0 to 1. */
  auditShare: number;
  /** As a validator: its good word needs no second. */
  isTrustedValidator: boolean;
  /** True where it chooses tokens as docs/SAMPLING.md says, so that another node can check them. */
  isVerifiable: boolean;
  /** What it reads of this model, in tokens: where its answers may end by length. */
  contextTokens: number;
}

/**
 * What is told of an attempt: `early` is what was there already, in order; `events` are lines of
 * {@link AttemptEvent} after it, or null where `early` has the end.
 */
export interface Telling {
  promptTokens: number;
  early: AttemptEvent[];
  events: ReadableStream<Uint8Array> | null;
}

/** What became of handing a task to a node. */
export type RunResult =
  /** The node works on it, or has done it. */
  | ({ kind: "accepted"; node?: NodeStanding } & Telling)
  /** No attempt was made: no credit left, or no socket. */
  | { kind: "full" }
  | { kind: "offline" }
  /** An attempt was made and came to nothing; another node may do it. */
  | { kind: "failed"; how: "socketGone" | "deadline" | "refuse"; reason: string }
  /** An attempt was made and showed that no node can do it as asked. */
  | { kind: "refused"; fault: TaskFault };

/** `unknown`: the attempt is over for this reader, and its task goes to another node. */
export type AttachResult = ({ kind: "accepted"; node?: NodeStanding } & Telling) | { kind: "unknown" };
