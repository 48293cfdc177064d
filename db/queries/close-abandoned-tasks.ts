import { and, eq, inArray, lt, sql } from "drizzle-orm";
import type { Database } from "../connection.ts";
import { tasks } from "../schema/tasks.ts";

/** A task whose last attempt ended this long ago and that nobody has told of since has no Worker any more. */
export const abandonedAfterMs = 30 * 60_000;
const tasksPerSweep = 1_000;

/**
 * Ends tasks that were between two attempts when their Worker died, so that nobody could: they become `failed` with
 * `stream_broken`, at most 1,000 a call. A task that goes on all the same and completes later is completed: that stands
 * above. Returns how many were ended. `nowMs` is milliseconds since the epoch.
 */
export async function closeAbandonedTasks(database: Database, nowMs: number): Promise<number> {
  const abandoned = database
    .select({ taskId: tasks.taskId })
    .from(tasks)
    .where(and(eq(tasks.state, "queued"), lt(tasks.endedAtMs, nowMs - abandonedAfterMs)))
    .limit(tasksPerSweep);
  const closed = await database
    .update(tasks)
    .set({ state: "failed", errorCode: sql`coalesce(${tasks.errorCode}, 'stream_broken')` })
    .where(and(eq(tasks.state, "queued"), inArray(tasks.taskId, abandoned)))
    .returning({ taskId: tasks.taskId });
  return closed.length;
}
