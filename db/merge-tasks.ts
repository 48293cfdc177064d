import { earliest } from "./earliest.ts";
import type { AttemptRow } from "./schema/attempts.ts";
import type { TaskRow } from "./schema/tasks.ts";
import { attemptStandings, taskStandings } from "./standings.ts";

/**
 * Which of two tellings of one task to keep, as a whole, in whichever order they came: the state with the higher
 * standing, then the one with more tokens, then the one that ended later. The first completion told stays for good.
 */
export function mergeTasks(known: TaskRow, told: TaskRow): TaskRow {
  if (known.state === "completed") return known;
  return isGreater(taskRank(told), taskRank(known)) ? told : known;
}

function taskRank(task: TaskRow): number[] {
  return [taskStandings[task.state], task.promptTokens + task.completionTokens, task.endedAtMs];
}

/**
 * One attempt out of two tellings of it, in whichever order they came: how it ended from the one whose state has the
 * higher standing (then: that gives a reason, that ended later), the larger counts and the earliest times of both.
 */
export function mergeAttempts(known: AttemptRow, told: AttemptRow): AttemptRow {
  const believed = isGreater(attemptRank(told), attemptRank(known)) ? told : known;
  return {
    ...believed,
    promptTokens: Math.max(known.promptTokens, told.promptTokens),
    completionTokens: Math.max(known.completionTokens, told.completionTokens),
    assignedAtMs: Math.min(known.assignedAtMs, told.assignedAtMs),
    ackedAtMs: earliest(known.ackedAtMs, told.ackedAtMs),
    firstTokenAtMs: earliest(known.firstTokenAtMs, told.firstTokenAtMs),
  };
}

function attemptRank(attempt: AttemptRow): number[] {
  return [attemptStandings[attempt.state], attempt.reason === null ? 0 : 1, attempt.endedAtMs];
}

/** True where the first difference between two ranks of one length speaks for `left`, as Postgres compares rows. */
function isGreater(left: readonly number[], right: readonly number[]): boolean {
  for (const [position, value] of left.entries()) {
    const other = right[position] ?? Number.NEGATIVE_INFINITY;
    if (value !== other) return value > other;
  }
  return false;
}
