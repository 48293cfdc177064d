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
  { maxAttempts = 12, maxBarrenAttempts = 4, isContinuable = true } = {},
): { task: Task; effects: TaskEffect[]; ignored: unknown } {
  let step = newTask({ taskId: taskIdSchema.parse("task_0001"), isContinuable, maxAttempts, maxBarrenAttempts }, 0);
  for (const [index, event] of events.entries()) step = stepTask(step.task, event, index + 1);
  return { ...step, ignored: step.ignored };
}

describe("one request's life", () => {
  test("a new task asks for any node", () => {
    expect(taskAfter([])).toMatchObject({
      task: { state: "queued" },
      effects: [{ type: "claim", exclude: [], avoid: [], isPatient: false }],
    });
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

/** A task whose nodes fail one after another; those marked bring something first. */
const failing = (brings: readonly boolean[]): TaskEvent[] =>
  brings.flatMap((isFruitful, index) => [
    assigned(index + 1),
    acked(index + 1),
    ...(isFruitful ? [{ type: "delivered" } as const] : []),
    failed(index + 1),
  ]);

describe("a node that fails", () => {
  test.each([
    ["whose socket went is avoided, since it may be back", "socketGone", [], [node(1)]],
    ["that was silent too long is not asked again", "deadline", [node(1)], []],
    ["that refused is not asked again", "refuse", [node(1)], []],
  ] as const)("%s", (_guarantee, how, exclude, avoid) => {
    const lives: TaskEvent[][] = [
      [assigned(1)],
      [assigned(1), acked(1)],
      [assigned(1), acked(1), { type: "delivered" }],
    ];
    for (const events of lives) {
      expect(taskAfter([...events, failed(1, how)])).toMatchObject({
        task: { state: "queued" },
        effects: [{ type: "claim", exclude, avoid, isPatient: true }],
      });
    }
  });

  test("is replaced by one that none of the attempts before had", () => {
    const second = [assigned(2), acked(2), failed(2, "deadline")];
    const { task, effects } = taskAfter([assigned(1), acked(1), failed(1), ...second]);
    expect(effects).toEqual([{ type: "claim", exclude: [node(2)], avoid: [node(1)], isPatient: true }]);
    expect(task.attempts.map(({ state }) => state)).toEqual(["lost", "timed_out"]);
  });

  test("both by its socket and by refusing is not asked again", () => {
    const again: TaskEvent = { type: "assigned", attemptId: attempt(2), nodeId: node(1) };
    const { effects } = taskAfter([assigned(1), failed(1), again, failed(2, "refuse")]);
    expect(effects).toEqual([{ type: "claim", exclude: [node(1)], avoid: [], isPatient: true }]);
  });

  test("leaves what it had counted with its attempt", () => {
    const told: TaskEvent = {
      type: "attemptFailed",
      attemptId: attempt(1),
      how: "socketGone",
      reason: "gone",
      completionTokens: 7,
    };
    const { task } = taskAfter([assigned(1), acked(1), { type: "delivered" }, told]);
    expect(task.attempts).toMatchObject([{ state: "lost", promptTokens: 5, completionTokens: 7, reason: "gone" }]);
  });

  test.each<[guarantee: string, brings: boolean[], isOver: boolean]>([
    ["three in a row that bring nothing are replaced", [false, false, false], false],
    ["four in a row that bring nothing are enough", [false, false, false, false], true],
    ["one that brought something is replaced", [true], false],
    ["what one brings is counted in its favour", [false, false, false, true, false, false, false], false],
    ["four in a row are enough after others brought something", [true, true, false, false, false, false], true],
    ["nodes that all bring something are enough at the bound on all", Array<boolean>(12).fill(true), true],
  ])("%s", (_guarantee, brings, isOver) => {
    const code = brings.includes(true) ? "stream_broken" : "attempts_exhausted";
    const { task, effects } = taskAfter(failing(brings));
    expect(task).toMatchObject(isOver ? { state: "failed", errorCode: code } : { state: "queued", errorCode: null });
    expect(effects.map(({ type }) => type)).toEqual([isOver ? "refuse" : "claim"]);
  });

  test("at what no other can go on with counts as one that brought nothing", () => {
    const { task } = taskAfter(failing([true, true, true, true]), { isContinuable: false });
    expect(task).toMatchObject({ state: "failed", errorCode: "attempts_exhausted", isDelivered: false });
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

  test("for want of a node, when a part of its answer is the caller's, is a broken answer", () => {
    const events: TaskEvent[] = [assigned(1), acked(1), { type: "delivered" }, failed(1)];
    for (const code of ["no_live_node", "no_free_node", "queue_full"] as const) {
      expect(taskAfter([...events, { type: "unplaced", code }])).toMatchObject({
        task: { state: "failed", errorCode: "stream_broken" },
        effects: [{ type: "refuse", code: "stream_broken" }],
      });
    }
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
