import { expect, test } from "vitest";
import { type AttemptEventType, type AttemptState, attemptMoves, attemptStates, nextState } from "./attempt-moves.ts";

/** Every legal move, spelled out once more: a change of the table is a change here too, made on purpose. */
const legal: readonly [from: AttemptState, event: AttemptEventType, to: AttemptState][] = [
  ["assigned", "ack", "acked"],
  ["assigned", "refuse", "rejected"],
  ["assigned", "cancel", "rejected"],
  ["assigned", "deadline", "timed_out"],
  ["assigned", "socketGone", "lost"],
  ["acked", "precommit", "precommitted"],
  ["acked", "commit", "committed"],
  ["acked", "refuse", "rejected"],
  ["acked", "cancel", "rejected"],
  ["acked", "deadline", "timed_out"],
  ["acked", "socketGone", "lost"],
  ["precommitted", "commit", "committed"],
  ["precommitted", "cancel", "rejected"],
  ["precommitted", "deadline", "timed_out"],
  ["precommitted", "socketGone", "lost"],
  ["committed", "reject", "rejected"],
];

test("the table has these moves and no other", () => {
  const table = attemptStates.flatMap((from) =>
    Object.entries(attemptMoves[from]).map(([event, to]) => `${from} ${event} ${to}`),
  );
  expect(table.toSorted()).toEqual(legal.map((move) => move.join(" ")).toSorted());
});

test.each(legal)("an attempt that is %s goes by %s to %s", (from, event, to) => {
  expect(nextState<AttemptState, AttemptEventType>(attemptMoves, from, event)).toBe(to);
});

test.each<AttemptState>(["rejected", "timed_out", "lost"])("nothing leaves %s", (state) => {
  expect(attemptMoves[state]).toEqual({});
});

test("a move that the table has not is undefined", () => {
  expect(nextState<AttemptState, AttemptEventType>(attemptMoves, "assigned", "commit")).toBeUndefined();
  expect(nextState<AttemptState, AttemptEventType>(attemptMoves, "lost", "ack")).toBeUndefined();
});

test("every state can be reached from assigned", () => {
  const reached = new Set<AttemptState>(["assigned"]);
  for (const state of reached) for (const next of Object.values(attemptMoves[state])) reached.add(next);
  expect([...reached].toSorted()).toEqual([...attemptStates].toSorted());
});
