import type { AccountId, AttemptId, KeyId, ModelHash, TaskId } from "../../core/ids.ts";
import type { ModelName } from "../../core/model/model-card.ts";
import type { AttemptRecord } from "../../core/record/entry.ts";
import type { FailReason } from "../../core/wire/node-frame.ts";
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
  /** When the task was admitted, milliseconds since the epoch. */
  createdAtMs: number;
  /** Attempts before this one, so that whoever records the task's end records all of it. */
  priorAttempts: AttemptRecord[];
}

/** Reasons that are the task's own fault: no other node would do it either. */
export type TaskFault = Extract<FailReason, { code: "context_length_exceeded" | "unsupported" }>;

/** What became of handing a task to a node. */
export type RunResult =
  /** The node works on it. `events` are lines of {@link AttemptEvent}. */
  | { kind: "accepted"; promptTokens: number; events: ReadableStream<Uint8Array> }
  /** No attempt was made: no credit left, or no socket. */
  | { kind: "full" }
  | { kind: "offline" }
  /** An attempt was made and came to nothing; another node may do it. */
  | { kind: "failed"; how: "socketGone" | "deadline" | "refuse"; reason: string }
  /** An attempt was made and showed that no node can do it as asked. */
  | { kind: "refused"; fault: TaskFault };
