import type { Moves } from "./attempt-moves.ts";

/** Every state of a task, in the order in which a task can pass them; the last four are ends besides `completed`. */
export const taskStates = [
  "queued",
  "assigned",
  "acked",
  "precommitted",
  "committed",
  "validated",
  "completed",
  "failed",
  "cancelled",
  "expired",
] as const;
export type TaskState = (typeof taskStates)[number];

export type TaskEventType =
  | "assign"
  | "ack"
  | "precommit"
  | "commit"
  | "validate"
  | "complete"
  | "requeue"
  | "fail"
  | "cancel"
  | "expire";

/**
 * Every legal move of a task. A policy may skip states, never reorder them: `single` goes
 * `queued → assigned → acked → committed → completed`. `requeue` is the failover: the attempt is over, the task is not.
 */
export const taskMoves = {
  queued: { assign: "assigned", fail: "failed", cancel: "cancelled", expire: "expired" },
  assigned: { ack: "acked", requeue: "queued", fail: "failed", cancel: "cancelled", expire: "expired" },
  acked: {
    precommit: "precommitted",
    commit: "committed",
    requeue: "queued",
    fail: "failed",
    cancel: "cancelled",
    expire: "expired",
  },
  precommitted: { commit: "committed", requeue: "queued", fail: "failed", cancel: "cancelled", expire: "expired" },
  committed: { validate: "validated", complete: "completed", requeue: "queued", fail: "failed" },
  validated: { complete: "completed", fail: "failed" },
  completed: {},
  failed: {},
  cancelled: {},
  expired: {},
} as const satisfies Moves<TaskState, TaskEventType>;

/** True for a state that no event leaves. */
export function isTerminal(state: TaskState): boolean {
  return Object.keys(taskMoves[state]).length === 0;
}
