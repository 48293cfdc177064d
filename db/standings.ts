import { type SQL, type SQLWrapper, sql } from "drizzle-orm";
import type { AttemptState } from "../core/task/attempt-moves.ts";
import type { TaskState } from "../core/task/task-moves.ts";

/**
 * Which of two tellings of one task is believed: the state with the higher standing. An end stands above every state
 * on the way, `completed` above all. Among the other ends the unbilled stand above `cancelled`, so that nobody pays for
 * a task that somebody was told had failed.
 */
export const taskStandings: Record<TaskState, number> = {
  queued: 0,
  assigned: 1,
  acked: 2,
  precommitted: 3,
  committed: 4,
  validated: 5,
  cancelled: 6,
  expired: 7,
  failed: 8,
  completed: 9,
};

/** As {@link taskStandings}, for attempts: an end that someone decided stands above one that was only noticed. */
export const attemptStandings: Record<AttemptState, number> = {
  assigned: 0,
  acked: 1,
  precommitted: 2,
  lost: 3,
  timed_out: 4,
  rejected: 5,
  committed: 6,
};

/** The standing of the state that a column holds, as SQL, from the same table that the merge in memory reads. */
export function standingOf(state: SQLWrapper, standings: Record<string, number>): SQL {
  const cases = Object.entries(standings).map(([name, standing]) => `when '${name}' then ${standing}`);
  return sql`(case ${state} ${sql.raw(cases.join(" "))} end)`;
}
