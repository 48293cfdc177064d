import { expect, test } from "vitest";
import { isTerminal, type TaskState, taskMoves, taskStates } from "./task-moves.ts";

const ends: readonly TaskState[] = ["completed", "failed", "cancelled", "expired"];

test.each(taskStates.map((state) => [state, ends.includes(state)] as const))("isTerminal(%s) is %s", (state, is) => {
  expect(isTerminal(state)).toBe(is);
});

test.each(ends)("nothing leaves %s", (state) => {
  expect(Object.keys(taskMoves[state])).toEqual([]);
});

test("a task moves forward only, but for the failover back to the queue", () => {
  for (const from of taskStates) {
    for (const [event, to] of Object.entries(taskMoves[from])) {
      if (event === "requeue") expect(to).toBe("queued");
      else expect(taskStates.indexOf(to), `${from} ${event} ${to}`).toBeGreaterThan(taskStates.indexOf(from));
    }
  }
});

test("one event leads to one state, wherever it comes", () => {
  const targets = new Map<string, Set<TaskState>>();
  for (const from of taskStates) {
    for (const [event, to] of Object.entries(taskMoves[from])) {
      targets.set(event, (targets.get(event) ?? new Set()).add(to));
    }
  }
  for (const [event, states] of targets) expect([...states], event).toHaveLength(1);
});

test("every state can be reached from queued, and every state reaches an end", () => {
  const reachableFrom = (start: TaskState) => {
    const reached = new Set<TaskState>([start]);
    for (const state of reached) for (const next of Object.values(taskMoves[state])) reached.add(next);
    return reached;
  };
  expect([...reachableFrom("queued")].toSorted()).toEqual([...taskStates].toSorted());
  for (const state of taskStates) expect(ends.some((end) => reachableFrom(state).has(end))).toBe(true);
});

test("work that is committed cannot be cancelled: it is done and owed", () => {
  expect(taskMoves.committed).not.toHaveProperty("cancel");
  expect(taskMoves.validated).not.toHaveProperty("cancel");
});
