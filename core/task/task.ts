import type { AttemptId, NodeId, TaskId } from "../ids.ts";
import type { RefusalCode } from "../refusal.ts";
import { type Attempt, type AttemptEvent, isAttemptOver, newAttempt, stepAttempt } from "./attempt.ts";
import { type Moves, nextState } from "./attempt-moves.ts";
import { isTerminal, type TaskEventType, type TaskState, taskMoves } from "./task-moves.ts";

/** One request on its way through the network, under the policy `single`. */
export interface Task {
  readonly taskId: TaskId;
  readonly state: TaskState;
  readonly attempts: readonly Attempt[];
  readonly maxAttempts: number;
  /** Attempts in a row that may bring nothing new before the task is given up. */
  readonly maxBarrenAttempts: number;
  /** True where another node can go on after what one has made (a chat); else it begins anew (an embedding). */
  readonly isContinuable: boolean;
  /** Attempts since something new came. */
  readonly barrenAttempts: number;
  /** True once a part of the answer is the caller's, so that its end without the rest is a broken answer. */
  readonly isDelivered: boolean;
  /** The refusal that ended it. */
  readonly errorCode: RefusalCode | null;
  readonly createdAtMs: number;
  /** Each state with the time it was entered, oldest first. */
  readonly transitions: readonly { state: TaskState; atMs: number }[];
}

export type TaskEvent =
  | { type: "assigned"; attemptId: AttemptId; nodeId: NodeId }
  | { type: "acked"; attemptId: AttemptId; promptTokens: number }
  /** A part of the answer came that stays in it, whatever becomes of its node. */
  | { type: "delivered" }
  | { type: "committed"; attemptId: AttemptId; promptTokens: number; completionTokens: number }
  /** The node is gone, silent or unable; the task itself is sound. */
  | {
      type: "attemptFailed";
      attemptId: AttemptId;
      how: "socketGone" | "deadline" | "refuse";
      reason: string;
      completionTokens?: number;
    }
  /** The task cannot be done as it is asked, by any node. */
  | { type: "refused"; attemptId: AttemptId; code: RefusalCode }
  /** No node could be had. */
  | { type: "unplaced"; code: "no_live_node" | "no_free_node" | "queue_full" | "no_validator" }
  /** The caller is gone. */
  | { type: "cancelled" };

/** What the task's owner must now do. */
export type TaskEffect =
  /**
   * Ask the pool for a node: never one of `exclude` (they refused, timed out or broke the protocol), one of `avoid` only
   * where nobody else could serve (their socket went, they may be back). `isPatient`: the task was under way, so it
   * waits for a node to come rather than be told that there is none.
   */
  | { type: "claim"; exclude: readonly NodeId[]; avoid: readonly NodeId[]; isPatient: boolean }
  /** The answer is whole: end the caller's response. */
  | { type: "answer" }
  /** Say no to the caller: as a status where nothing was sent, as an event in the stream otherwise. */
  | { type: "refuse"; code: RefusalCode }
  /** Stop the node that works on it. */
  | { type: "cancelAttempt"; attemptId: AttemptId; nodeId: NodeId }
  /** Nothing further; the owner need not wait. */
  | { type: "forget" };

export interface TaskStep {
  task: Task;
  effects: TaskEffect[];
  /** The event's type where the present state does not know it and nothing changed. */
  ignored?: TaskEvent["type"];
}

/**
 * A task that was just admitted, and the first thing to do for it. `maxAttempts` bounds its attempts in all,
 * `maxBarrenAttempts` those in a row that bring nothing new.
 */
export function newTask(
  options: { taskId: TaskId; isContinuable: boolean; maxAttempts: number; maxBarrenAttempts: number },
  nowMs: number,
): TaskStep {
  const { taskId, isContinuable, maxAttempts, maxBarrenAttempts } = options;
  const task: Task = {
    taskId,
    state: "queued",
    attempts: [],
    maxAttempts,
    maxBarrenAttempts,
    isContinuable,
    barrenAttempts: 0,
    isDelivered: false,
    errorCode: null,
    createdAtMs: nowMs,
    transitions: [{ state: "queued", atMs: nowMs }],
  };
  return { task, effects: [claimFor(task)] };
}

/**
 * Moves a task by one event and says what its owner must now do, in order.
 *
 * An event that the present state does not know, or that speaks of an attempt that is over, changes nothing and comes
 * back as `ignored`. `nowMs` is milliseconds since the epoch, given by the caller: nothing here reads a clock.
 */
export function stepTask(task: Task, event: TaskEvent, nowMs: number): TaskStep {
  if (isTerminal(task.state)) return ignored(task, event);
  switch (event.type) {
    case "assigned":
      return move(
        task,
        "assign",
        nowMs,
        (moved) => ({
          task: { ...moved, attempts: [...moved.attempts, newAttempt(event, nowMs)] },
          effects: [],
        }),
        event,
      );
    case "acked": {
      const attempts = stepped(task, event.attemptId, { type: "ack", promptTokens: event.promptTokens }, nowMs);
      if (attempts === undefined) return ignored(task, event);
      return move(task, "ack", nowMs, (moved) => ({ task: { ...moved, attempts }, effects: [] }), event);
    }
    case "delivered": {
      if (!task.isContinuable) return ignored(task, event);
      const attempts = task.attempts.map((attempt) =>
        isAttemptOver(attempt.state) || attempt.firstTokenAtMs !== null
          ? attempt
          : { ...attempt, firstTokenAtMs: nowMs },
      );
      return { task: { ...task, isDelivered: true, attempts }, effects: [] };
    }
    case "committed": {
      const { promptTokens, completionTokens } = event;
      const attempts = stepped(task, event.attemptId, { type: "commit", promptTokens, completionTokens }, nowMs);
      if (attempts === undefined) return ignored(task, event);
      return move(
        task,
        "commit",
        nowMs,
        (committed) =>
          // `single` has no verdict to wait for, so the commit completes the task.
          move(
            { ...committed, attempts },
            "complete",
            nowMs,
            (moved) => ({ task: moved, effects: [{ type: "answer" }] }),
            event,
          ),
        event,
      );
    }
    case "attemptFailed": {
      const { attemptId, how, reason, completionTokens } = event;
      const counts = completionTokens === undefined ? {} : { completionTokens };
      const attempts = stepped(task, attemptId, { type: how, reason, ...counts }, nowMs);
      if (attempts === undefined) return ignored(task, event);
      const hasBrought = attempts.some((attempt) => attempt.attemptId === attemptId && attempt.firstTokenAtMs !== null);
      return afterFailure(
        { ...task, attempts, barrenAttempts: hasBrought ? 0 : task.barrenAttempts + 1 },
        event,
        nowMs,
      );
    }
    case "refused": {
      const attempts = stepped(task, event.attemptId, { type: "refuse", reason: event.code }, nowMs);
      if (attempts === undefined) return ignored(task, event);
      return end({ ...task, attempts }, "fail", event.code, event, nowMs);
    }
    case "unplaced":
      // Only a task that waits can lack a node.
      if (task.state !== "queued") return ignored(task, event);
      return end(task, event.code === "no_live_node" ? "fail" : "expire", event.code, event, nowMs);
    case "cancelled": {
      const open = task.attempts.find((attempt) => !isAttemptOver(attempt.state));
      const closed = open && stepped(task, open.attemptId, { type: "cancel", reason: "cancelled" }, nowMs);
      return move(
        task,
        "cancel",
        nowMs,
        (moved) => ({
          task: { ...moved, attempts: closed ?? moved.attempts },
          effects:
            open === undefined
              ? [{ type: "forget" }]
              : [{ type: "cancelAttempt", attemptId: open.attemptId, nodeId: open.nodeId }],
        }),
        event,
      );
    }
  }
}

/** A node failed: another goes on, until too many have brought nothing. */
function afterFailure(task: Task, event: TaskEvent, nowMs: number): TaskStep {
  if (task.barrenAttempts >= task.maxBarrenAttempts || task.attempts.length >= task.maxAttempts) {
    return end(task, "fail", "attempts_exhausted", event, nowMs);
  }
  return move(task, "requeue", nowMs, (moved) => ({ task: moved, effects: [claimFor(moved)] }), event);
}

function claimFor({ attempts }: Task): TaskEffect {
  const exclude = new Set<NodeId>();
  for (const { nodeId, state } of attempts) if (state === "rejected" || state === "timed_out") exclude.add(nodeId);
  const avoid = new Set<NodeId>();
  for (const { nodeId, state } of attempts) if (state === "lost" && !exclude.has(nodeId)) avoid.add(nodeId);
  return { type: "claim", exclude: [...exclude], avoid: [...avoid], isPatient: attempts.length > 0 };
}

/** Ends a task without its answer. What the caller has of it already is then a broken answer, whatever the cause. */
function end(task: Task, how: "fail" | "expire", cause: RefusalCode, event: TaskEvent, nowMs: number): TaskStep {
  const code = task.isDelivered ? "stream_broken" : cause;
  return move(
    task,
    task.isDelivered ? "fail" : how,
    nowMs,
    (moved) => ({ task: { ...moved, errorCode: code }, effects: [{ type: "refuse", code }] }),
    event,
  );
}

const moves: Moves<TaskState, TaskEventType> = taskMoves;

function move(
  task: Task,
  type: TaskEventType,
  nowMs: number,
  then: (moved: Task) => TaskStep,
  event: TaskEvent,
): TaskStep {
  const state = nextState(moves, task.state, type);
  if (state === undefined) return ignored(task, event);
  return then({ ...task, state, transitions: [...task.transitions, { state, atMs: nowMs }] });
}

function ignored(task: Task, event: TaskEvent): TaskStep {
  return { task, effects: [], ignored: event.type };
}

/** All attempts with one of them moved, or `undefined` where that one does not know the event. */
function stepped(task: Task, attemptId: AttemptId, event: AttemptEvent, nowMs: number): Attempt[] | undefined {
  let found = false;
  const attempts = task.attempts.map((attempt) => {
    if (attempt.attemptId !== attemptId) return attempt;
    const next = stepAttempt(attempt, event, nowMs);
    if (next !== undefined) found = true;
    return next ?? attempt;
  });
  return found ? attempts : undefined;
}
