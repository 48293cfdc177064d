import { describe, expect, test } from "vitest";
import { type AttemptId, attemptIdSchema, nodeIdSchema, taskIdSchema } from "../ids.ts";
import { pick, seededRandom } from "../testing/seeded-random.ts";
import { isAttemptOver } from "./attempt.ts";
import { type AttemptState, attemptMoves } from "./attempt-moves.ts";
import { newTask, stepTask, type Task, type TaskEffect, type TaskEvent } from "./task.ts";
import { isTerminal, type TaskState, taskMoves } from "./task-moves.ts";

const eventsPerWalk = 60;
const seeds = Array.from({ length: 300 }, (_, index) => index + 1);

/** Any event, sensible or not: of the attempt under way, of one long over, of one that never was. */
function anyEvent(task: Task, count: number, random: () => number): TaskEvent {
  const known = task.attempts.map((attempt) => attempt.attemptId);
  const foreign = attemptIdSchema.parse(`attempt_foreign${count}`);
  const attemptId: AttemptId = pick([...known, ...known.slice(-1), ...known.slice(-1), foreign], random);
  const nodeId = nodeIdSchema.parse(`node_000${Math.floor(random() * 9)}`);
  const tokens = Math.floor(random() * 100);
  return pick<() => TaskEvent>(
    [
      () => ({ type: "assigned", attemptId: attemptIdSchema.parse(`attempt_fresh${count}`), nodeId }),
      () => ({ type: "assigned", attemptId: attemptIdSchema.parse(`attempt_fresh${count}`), nodeId }),
      () => ({ type: "acked", attemptId, promptTokens: tokens }),
      () => ({ type: "acked", attemptId, promptTokens: tokens }),
      () => ({ type: "delivered" }),
      () => ({ type: "committed", attemptId, promptTokens: tokens, completionTokens: tokens }),
      () => ({
        type: "attemptFailed",
        attemptId,
        how: pick(["socketGone", "deadline", "refuse"], random),
        reason: "any",
      }),
      () => ({ type: "attemptFailed", attemptId, how: "socketGone", reason: "any" }),
      () => (random() < 0.1 ? { type: "refused", attemptId, code: "unsupported_parameter" } : { type: "delivered" }),
      () => (random() < 0.2 ? { type: "unplaced", code: "no_free_node" } : { type: "delivered" }),
      () => (random() < 0.1 ? { type: "cancelled" } : { type: "acked", attemptId, promptTokens: tokens }),
    ],
    random,
  )();
}

const isMove = (moves: Record<string, Readonly<Record<string, string>>>, from: string, to: string) =>
  Object.values(moves[from] ?? {}).includes(to);
const isWorking = (state: TaskState) => ["assigned", "acked", "precommitted"].includes(state);

/** What is wrong with one step, in words; nothing where all guarantees hold. */
function faultsOf(before: Task, after: Task, effects: readonly TaskEffect[]): string[] {
  const faults: string[] = [];
  const check = (holds: boolean, fault: string) => {
    if (!holds) faults.push(fault);
  };
  const open = after.attempts.filter((attempt) => !isAttemptOver(attempt.state));
  check(!isTerminal(before.state) || (before === after && effects.length === 0), "an end was left");
  check(after.attempts.length <= after.maxAttempts, "more attempts than allowed");
  check(barrenAtTheEnd(after) <= after.maxBarrenAttempts, "more attempts in a row that brought nothing than allowed");
  check(open.length === (isWorking(after.state) ? 1 : 0), `${open.length} open attempts while ${after.state}`);
  check(after.transitions.at(-1)?.state === after.state, "the last transition is not the state");
  for (const [index, { state, atMs }] of after.transitions.entries()) {
    const earlier = after.transitions[index - 1];
    if (earlier === undefined) continue;
    check(isMove(taskMoves, earlier.state, state), `no move leads from ${earlier.state} to ${state}`);
    check(earlier.atMs <= atMs, "transitions are out of order");
  }
  for (const [index, attempt] of before.attempts.entries()) {
    const later: AttemptState | undefined = after.attempts[index]?.state;
    const isLegal = later === attempt.state || (later !== undefined && isMove(attemptMoves, attempt.state, later));
    check(isLegal, `an attempt went from ${attempt.state} to ${later}`);
  }
  check(
    (after.errorCode !== null) === (after.state === "failed" || after.state === "expired"),
    "the error code and the state disagree",
  );
  for (const effect of effects) {
    if (effect.type !== "claim") continue;
    for (const { nodeId, state } of after.attempts) {
      const isExcluded = effect.exclude.includes(nodeId);
      if (state !== "lost") check(isExcluded, "a node that refused or was silent may be claimed again");
      check(isExcluded || effect.avoid.includes(nodeId), "a node whose socket went is not avoided");
      check(!isExcluded || !effect.avoid.includes(nodeId), "a node is both excluded and avoided");
    }
    check(effect.isPatient === after.attempts.length > 0, "a task under way does not wait for a node");
  }
  return faults;
}

/** Attempts that failed in a row and brought nothing that stays, up to the last. */
function barrenAtTheEnd({ attempts, isContinuable }: Task): number {
  const failed = attempts.filter(({ state }) => isAttemptOver(state));
  const fruitful = failed.findLastIndex(({ firstTokenAtMs }) => isContinuable && firstTokenAtMs !== null);
  return failed.length - 1 - fruitful;
}

/** Walks one task through random events; returns every fault found, and how it ended. */
function walk(seed: number, step: typeof stepTask): { faults: string[]; state: TaskState } {
  const random = seededRandom(seed);
  const maxAttempts = 1 + Math.floor(random() * 8);
  const maxBarrenAttempts = 1 + Math.floor(random() * 4);
  const taskId = taskIdSchema.parse(`task_seed${seed}`);
  let { task } = newTask({ taskId, isContinuable: random() < 0.7, maxAttempts, maxBarrenAttempts }, 0);
  const faults: string[] = [];
  let endings = 0;
  for (let count = 1; count <= eventsPerWalk; count += 1) {
    const next = step(task, anyEvent(task, count, random), count);
    faults.push(...faultsOf(task, next.task, next.effects));
    endings += next.effects.filter((effect) => effect.type !== "claim").length;
    task = next.task;
  }
  if (endings !== (isTerminal(task.state) ? 1 : 0)) faults.push(`${endings} endings were told of a ${task.state} task`);
  return { faults, state: task.state };
}

describe("whatever comes, in whatever order", () => {
  test("no guarantee of a task breaks", () => {
    const faults = seeds.flatMap((seed) => walk(seed, stepTask).faults.map((fault) => `seed ${seed}: ${fault}`));
    expect(faults).toEqual([]);
  });

  test("the walks reach every end, so they tried something", () => {
    const ends = new Set(seeds.map((seed) => walk(seed, stepTask).state));
    for (const end of ["completed", "failed", "cancelled", "expired"]) expect(ends).toContain(end);
  });
});

/** Steps with one mistake each, which the checks must find: else the walks above would prove nothing. */
const mistakes: readonly [mistake: string, step: typeof stepTask, fault: RegExp][] = [
  [
    "a dead task revived",
    (task, event, nowMs) =>
      stepTask(isTerminal(task.state) && event.type === "assigned" ? { ...task, state: "queued" } : task, event, nowMs),
    /an end was left/,
  ],
  [
    "one attempt too many",
    (task, event, nowMs) => {
      const step = stepTask({ ...task, maxAttempts: task.maxAttempts + 1 }, event, nowMs);
      return { ...step, task: { ...step.task, maxAttempts: task.maxAttempts } };
    },
    /more attempts than allowed/,
  ],
  [
    "two nodes at once",
    (task, event, nowMs) =>
      stepTask(
        event.type === "assigned" && task.state === "assigned" ? { ...task, state: "queued" } : task,
        event,
        nowMs,
      ),
    /2 open attempts/,
  ],
  [
    "an ending told twice",
    (task, event, nowMs) => {
      const step = stepTask(task, event, nowMs);
      return { ...step, effects: step.effects.flatMap((effect) => [effect, effect]) };
    },
    /2 endings/,
  ],
  [
    "attempts that bring nothing without end",
    (task, event, nowMs) => {
      const step = stepTask({ ...task, maxBarrenAttempts: 99 }, event, nowMs);
      return { ...step, task: { ...step.task, maxBarrenAttempts: task.maxBarrenAttempts } };
    },
    /brought nothing than allowed/,
  ],
  ["a node that refused claimed again", withClaims({ exclude: [] }), /may be claimed again/],
  ["a lost node that is not avoided", withClaims({ avoid: [] }), /is not avoided/],
  ["an impatient failover", withClaims({ isPatient: false }), /does not wait/],
];
test.each(mistakes)("the checks would find %s", (_mistake, step, fault) => {
  expect(seeds.flatMap((seed) => walk(seed, step).faults)).toContainEqual(expect.stringMatching(fault));
});

/** A step whose claims are wrong in one way. */
function withClaims(wrong: Partial<Extract<TaskEffect, { type: "claim" }>>): typeof stepTask {
  return (task, event, nowMs) => {
    const step = stepTask(task, event, nowMs);
    return {
      ...step,
      effects: step.effects.map((effect) => (effect.type === "claim" ? { ...effect, ...wrong } : effect)),
    };
  };
}
