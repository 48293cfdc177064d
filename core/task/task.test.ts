import { describe, expect, test } from "vitest";
import { type AttemptId, attemptIdSchema, type NodeId, nodeIdSchema, taskIdSchema } from "../ids.ts";
import { type Attempt, newAttempt } from "./attempt.ts";
import { type AttemptEventType, type AttemptState, attemptMoves, nextState } from "./attempt-moves.ts";
import { newTask, stepTask, type Task, type TaskEffect, type TaskEvent } from "./task.ts";
import { isTerminal, type TaskEventType, type TaskState, taskMoves, taskStates } from "./task-moves.ts";

const attempt = (number: number): AttemptId => attemptIdSchema.parse(`attempt_000${number}`);
const node = (number: number): NodeId => nodeIdSchema.parse(`node_000${number}`);
const assigned = (number: number): TaskEvent => ({
  type: "assigned",
  attemptId: attempt(number),
  nodeId: node(number),
});
const acked = (number: number): TaskEvent => ({ type: "acked", attemptId: attempt(number), promptTokens: 5 });
const committed = (number: number): TaskEvent => ({
  type: "committed",
  attemptId: attempt(number),
  promptTokens: 5,
  completionTokens: 9,
});
const failed = (number: number, how: "socketGone" | "deadline" | "refuse" = "socketGone"): TaskEvent => ({
  type: "attemptFailed",
  attemptId: attempt(number),
  how,
  reason: "gone",
});
const refused = (number: number): TaskEvent => ({
  type: "refused",
  attemptId: attempt(number),
  code: "context_length_exceeded",
});

/** A fresh task after `events`, one a millisecond, and the effects of the last of them. */
function taskAfter(
  events: readonly TaskEvent[],
  maxAttempts = 4,
): { task: Task; effects: TaskEffect[]; ignored: unknown } {
  let step = newTask({ taskId: taskIdSchema.parse("task_0001"), maxAttempts }, 0);
  for (const [index, event] of events.entries()) step = stepTask(step.task, event, index + 1);
  return { ...step, ignored: step.ignored };
}

describe("one request's life", () => {
  test("a new task asks for any node", () => {
    expect(taskAfter([])).toMatchObject({ task: { state: "queued" }, effects: [{ type: "claim", exclude: [] }] });
  });

  test("a task under `single` goes from the queue to its answer, and each time is kept", () => {
    const { task, effects } = taskAfter([assigned(1), acked(1), { type: "delivered" }, committed(1)]);
    expect(effects).toEqual([{ type: "answer" }]);
    expect(task.transitions).toEqual([
      { state: "queued", atMs: 0 },
      { state: "assigned", atMs: 1 },
      { state: "acked", atMs: 2 },
      { state: "committed", atMs: 4 },
      { state: "completed", atMs: 4 },
    ]);
    expect(task.attempts).toEqual([
      {
        attemptId: attempt(1),
        nodeId: node(1),
        state: "committed",
        reason: null,
        promptTokens: 5,
        completionTokens: 9,
        assignedAtMs: 1,
        ackedAtMs: 2,
        firstTokenAtMs: 3,
        endedAtMs: 4,
      },
    ]);
  });

  test("the first token's time stays when more are delivered", () => {
    const { task } = taskAfter([assigned(1), acked(1), { type: "delivered" }, { type: "delivered" }]);
    expect(task.attempts[0]?.firstTokenAtMs).toBe(3);
  });
});

describe("a node that fails", () => {
  test.each(["socketGone", "deadline", "refuse"] as const)("before the ack (%s) is replaced by another", (how) => {
    expect(taskAfter([assigned(1), failed(1, how)])).toMatchObject({
      task: { state: "queued", isDelivered: false },
      effects: [{ type: "claim", exclude: [node(1)] }],
    });
  });

  test("before anything was delivered is replaced by one that has not been tried", () => {
    const { task, effects } = taskAfter([
      assigned(1),
      acked(1),
      failed(1),
      assigned(2),
      acked(2),
      failed(2, "deadline"),
    ]);
    expect(effects).toEqual([{ type: "claim", exclude: [node(1), node(2)] }]);
    expect(task.attempts.map(({ state }) => state)).toEqual(["lost", "timed_out"]);
  });

  test("after something was delivered ends the task: no other can begin the answer anew", () => {
    expect(taskAfter([assigned(1), acked(1), { type: "delivered" }, failed(1)])).toMatchObject({
      task: { state: "failed", errorCode: "stream_broken" },
      effects: [{ type: "refuse", code: "stream_broken" }],
    });
  });

  test("is replaced no oftener than the bound on attempts", () => {
    expect(taskAfter([assigned(1), failed(1)], 2).effects).toEqual([{ type: "claim", exclude: [node(1)] }]);
    expect(taskAfter([assigned(1), failed(1), assigned(2), failed(2)], 2)).toMatchObject({
      task: { state: "failed", errorCode: "attempts_exhausted" },
      effects: [{ type: "refuse", code: "attempts_exhausted" }],
    });
    expect(taskAfter([assigned(1), failed(1)], 1).task.errorCode).toBe("attempts_exhausted");
  });

  test("then speaks again is not heard: its attempt is over", () => {
    const before = taskAfter([assigned(1), failed(1), assigned(2)]).task;
    for (const late of [acked(1), committed(1), failed(1), refused(1)]) {
      expect(stepTask(before, late, 9)).toEqual({ task: before, effects: [], ignored: late.type });
    }
  });
});

describe("a task that no node can do", () => {
  test("ends with the node's own code, and no other is asked", () => {
    expect(taskAfter([assigned(1), refused(1)])).toMatchObject({
      task: { state: "failed", errorCode: "context_length_exceeded", attempts: [{ state: "rejected" }] },
      effects: [{ type: "refuse", code: "context_length_exceeded" }],
    });
  });

  test.each([
    ["no_live_node", "failed"],
    ["no_free_node", "expired"],
    ["queue_full", "expired"],
  ] as const)("for want of a node (%s) is %s", (code, state) => {
    expect(taskAfter([{ type: "unplaced", code }])).toMatchObject({
      task: { state, errorCode: code },
      effects: [{ type: "refuse", code }],
    });
  });

  test("cannot be unplaced while a node works on it", () => {
    const events = [assigned(1), acked(1), { type: "unplaced", code: "no_free_node" }] as const;
    expect(taskAfter(events)).toMatchObject({ task: { state: "acked" }, effects: [], ignored: "unplaced" });
  });
});

describe("a caller who leaves", () => {
  test("while the task waits is forgotten: nothing works for them", () => {
    expect(taskAfter([{ type: "cancelled" }])).toMatchObject({
      task: { state: "cancelled", errorCode: null },
      effects: [{ type: "forget" }],
    });
    expect(taskAfter([assigned(1), failed(1), { type: "cancelled" }]).effects).toEqual([{ type: "forget" }]);
  });

  test.each([
    ["assigned", [assigned(1)]],
    ["acked", [assigned(1), acked(1)]],
    ["delivering", [assigned(1), acked(1), { type: "delivered" }]],
  ] satisfies [string, TaskEvent[]][])("while a node works (%s) stops that node", (_state, events) => {
    const { task, effects } = taskAfter([...events, { type: "cancelled" }]);
    expect(effects).toEqual([{ type: "cancelAttempt", attemptId: attempt(1), nodeId: node(1) }]);
    expect(task.state).toBe("cancelled");
    expect(task.attempts).toMatchObject([{ state: "rejected", reason: "cancelled", endedAtMs: events.length + 1 }]);
  });

  test("after the end changes nothing", () => {
    expect(taskAfter([assigned(1), acked(1), committed(1), { type: "cancelled" }])).toMatchObject({
      task: { state: "completed" },
      effects: [],
      ignored: "cancelled",
    });
  });
});

test.each<[guarantee: string, events: TaskEvent[], ignored: TaskEvent["type"]]>([
  ["an answer committed twice counts once", [assigned(1), acked(1), committed(1), committed(1)], "committed"],
  ["a commit without an ack is not believed", [assigned(1), committed(1)], "committed"],
  ["a second ack changes nothing", [assigned(1), acked(1), acked(1)], "acked"],
  ["a task that a node has is given to no other", [assigned(1), assigned(2)], "assigned"],
  ["an ack of an attempt that never was changes nothing", [assigned(1), acked(7)], "acked"],
  ["nothing revives a task that was cancelled", [{ type: "cancelled" }, assigned(1)], "assigned"],
  ["nothing is delivered of a task that ended", [{ type: "cancelled" }, { type: "delivered" }], "delivered"],
])("%s", (_guarantee, events, ignored) => {
  const before = taskAfter(events.slice(0, -1)).task;
  expect(taskAfter(events)).toEqual({ task: before, effects: [], ignored });
});

/** The table's own word for each event a task's owner can tell, and what it asks of the attempt. */
const asked: readonly {
  event: TaskEvent;
  task: TaskEventType;
  attempt?: AttemptEventType;
  last?: TaskEventType;
  onlyIn?: TaskState;
}[] = [
  { event: assigned(2), task: "assign" },
  { event: acked(1), task: "ack", attempt: "ack" },
  { event: committed(1), task: "commit", attempt: "commit", last: "complete" },
  { event: failed(1, "socketGone"), task: "requeue", attempt: "socketGone" },
  { event: failed(1, "deadline"), task: "requeue", attempt: "deadline" },
  { event: failed(1, "refuse"), task: "requeue", attempt: "refuse" },
  { event: refused(1), task: "fail", attempt: "refuse" },
  { event: { type: "unplaced", code: "no_live_node" }, task: "fail", onlyIn: "queued" },
  { event: { type: "unplaced", code: "no_free_node" }, task: "expire", onlyIn: "queued" },
  { event: { type: "cancelled" }, task: "cancel" },
];
/** Where the task's one attempt stands while the task is in a state. */
const attemptStateIn: Record<TaskState, AttemptState | undefined> = {
  queued: undefined,
  assigned: "assigned",
  acked: "acked",
  precommitted: "precommitted",
  committed: "committed",
  validated: "committed",
  completed: "committed",
  failed: "lost",
  cancelled: "rejected",
  expired: "timed_out",
};

describe("every state and every event", () => {
  const matrix = taskStates.flatMap((from) =>
    asked.map(({ event, ...ask }) => {
      const held = attemptStateIn[from];
      const isKnownToAttempt =
        ask.attempt === undefined ||
        (held !== undefined &&
          nextState<AttemptState, AttemptEventType>(attemptMoves, held, ask.attempt) !== undefined);
      const isInPlace = ask.onlyIn === undefined || ask.onlyIn === from;
      const move = nextState<TaskState, TaskEventType>(taskMoves, from, ask.task);
      const known = isKnownToAttempt && isInPlace ? move : undefined;
      const to = known && ask.last ? nextState<TaskState, TaskEventType>(taskMoves, known, ask.last) : known;
      const name = "how" in event ? `${event.type} ${event.how}` : "code" in event ? event.code : event.type;
      return [from, name, to ?? "ignored", event] as const;
    }),
  );
  test.each(matrix)("%s, %s: %s", (from, _name, to, event) => {
    const held = attemptStateIn[from];
    const attempts: Attempt[] =
      held === undefined ? [] : [{ ...newAttempt({ attemptId: attempt(1), nodeId: node(1) }, 0), state: held }];
    const task: Task = { ...taskAfter([]).task, state: from, attempts };
    const step = stepTask(task, event, 5);
    if (to === "ignored") {
      expect(step).toEqual({ task, effects: [], ignored: event.type });
      expect(step.task).toBe(task);
    } else {
      expect(step.task.state).toBe(to);
      expect(step.ignored).toBeUndefined();
      expect(step.task.transitions.at(-1)).toEqual({ state: to, atMs: 5 });
    }
  });

  test("the matrix has moves and refusals of every kind", () => {
    const moved = matrix.filter(([, , to]) => to !== "ignored");
    expect(moved.length).toBeGreaterThan(15);
    for (const [from, , to] of matrix) if (isTerminal(from)) expect(to).toBe("ignored");
  });
});
