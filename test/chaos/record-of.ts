import { asc, eq, inArray } from "drizzle-orm";
import type { AccountId } from "../../core/ids.ts";
import type { Database } from "../../db/connection.ts";
import { type AttemptRow, attempts } from "../../db/schema/attempts.ts";
import { type TaskRow, tasks } from "../../db/schema/tasks.ts";
import { type UsageRow, usage } from "../../db/schema/usage.ts";

/** All that the record holds of one account's tasks, oldest first. */
export interface AccountRecord {
  tasks: TaskRow[];
  attempts: AttemptRow[];
  usage: UsageRow[];
}

/** Ends of a task; a row in another state is one whose last word is not there yet. */
const endStates: ReadonlySet<TaskRow["state"]> = new Set(["completed", "failed", "cancelled", "expired"]);

/** Reads the record of an account; attempts of tasks that have no row yet are not found. */
export async function recordOf(database: Database, accountId: AccountId): Promise<AccountRecord> {
  const rows = await database
    .select()
    .from(tasks)
    .where(eq(tasks.accountId, accountId))
    .orderBy(asc(tasks.createdAtMs));
  const ids = rows.map((row) => row.taskId);
  return {
    tasks: rows,
    attempts:
      ids.length === 0
        ? []
        : await database
            .select()
            .from(attempts)
            .where(inArray(attempts.taskId, ids))
            .orderBy(asc(attempts.assignedAtMs)),
    usage: await database.select().from(usage).where(eq(usage.accountId, accountId)).orderBy(asc(usage.atMs)),
  };
}

/** Whether the record holds the end of at least so many tasks. */
export function hasEnded(record: AccountRecord, count: number): boolean {
  return record.tasks.filter((row) => endStates.has(row.state)).length >= count;
}
