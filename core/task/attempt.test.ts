import { describe, expect, test } from "vitest";
import { attemptIdSchema, nodeIdSchema } from "../ids.ts";
import { attemptRecordSchema } from "../record/entry.ts";
import { type Attempt, attemptRecord, isAttemptOver, newAttempt, stepAttempt } from "./attempt.ts";
import { type AttemptEventType, type AttemptState, attemptMoves, attemptStates, nextState } from "./attempt-moves.ts";

const events: readonly AttemptEventType[] = [
  "ack",
  "precommit",
  "commit",
  "deadline",
  "socketGone",
  "refuse",
  "cancel",
  "reject",
];
const fresh = newAttempt(
  { attemptId: attemptIdSchema.parse("attempt_one0"), nodeId: nodeIdSchema.parse("node_one0") },
  1_000,
);
const attemptIn = (state: AttemptState): Attempt => ({
  ...fresh,
  state,
  endedAtMs: isAttemptOver(state) ? 1_500 : null,
});

describe("every state and every event", () => {
  const matrix = attemptStates.flatMap((from) =>
    events.map((event) => {
      const to = nextState<AttemptState, AttemptEventType>(attemptMoves, from, event);
      return [from, event, to ?? "ignored"] as const;
    }),
  );
  test.each(matrix)("%s, %s: %s", (from, event, to) => {
    const attempt = attemptIn(from);
    const stepped = stepAttempt(attempt, { type: event }, 2_000);
    expect(attempt).toEqual(attemptIn(from));
    if (to === "ignored") expect(stepped).toBeUndefined();
    else expect(stepped?.state).toBe(to);
  });
});

test("a fresh attempt is assigned, with nothing counted and nothing ended", () => {
  expect(fresh).toEqual({
    attemptId: "attempt_one0",
    nodeId: "node_one0",
    state: "assigned",
    reason: null,
    promptTokens: 0,
    completionTokens: 0,
    assignedAtMs: 1_000,
    ackedAtMs: null,
    firstTokenAtMs: null,
    endedAtMs: null,
  });
});

test("each time is set once, when its state is entered", () => {
  const acked = stepAttempt(fresh, { type: "ack", promptTokens: 7 }, 2_000);
  expect(acked).toMatchObject({ ackedAtMs: 2_000, endedAtMs: null, promptTokens: 7 });
  const committed = acked && stepAttempt(acked, { type: "commit", completionTokens: 3 }, 3_000);
  expect(committed).toMatchObject({
    ackedAtMs: 2_000,
    endedAtMs: 3_000,
    promptTokens: 7,
    completionTokens: 3,
    reason: null,
  });
});

test("an end without a result keeps its reason and what was counted", () => {
  const acked = stepAttempt(fresh, { type: "ack", promptTokens: 7 }, 2_000);
  const lost = acked && stepAttempt(acked, { type: "socketGone", reason: "the socket broke", completionTokens: 2 }, 9);
  expect(lost).toMatchObject({ state: "lost", reason: "the socket broke", promptTokens: 7, completionTokens: 2 });
});

test.each<[state: AttemptState, isOver: boolean]>([
  ["assigned", false],
  ["acked", false],
  ["precommitted", false],
  ["committed", true],
  ["rejected", true],
  ["timed_out", true],
  ["lost", true],
])("a node owes nothing more when %s: %s", (state, isOver) => {
  expect(isAttemptOver(state)).toBe(isOver);
});

test("the record of an attempt is one the record's schema takes, and an open one ends now", () => {
  expect(attemptRecord(fresh, 5_000)).toMatchObject({ endedAtMs: 5_000 });
  expect(attemptRecord(attemptIn("lost"), 5_000)).toMatchObject({ endedAtMs: 1_500 });
  for (const state of attemptStates) attemptRecordSchema.parse(attemptRecord(attemptIn(state), 5_000));
});
