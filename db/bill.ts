import { and, eq, gt, inArray, ne, not, or, type SQL, sql } from "drizzle-orm";
import { networkAccountId, type TaskId } from "../core/ids.ts";
import { tasks } from "./schema/tasks.ts";
import { usage } from "./schema/usage.ts";
import { verdicts } from "./schema/verdicts.ts";
import { statement } from "./statement.ts";

/**
 * A task that completed is billed, and one cancelled after tokens came; no other is. Nor is one whose answer a check
 * rejected, nor the network's own: a check is nobody's task.
 */
const isBilled = sql`(${and(
  or(
    eq(tasks.state, "completed"),
    and(eq(tasks.state, "cancelled"), gt(sql`${tasks.promptTokens} + ${tasks.completionTokens}`, 0)),
  ),
  ne(tasks.accountId, networkAccountId),
  sql`not exists (select 1 from ${verdicts} where ${verdicts.taskId} = ${tasks.taskId} and ${verdicts.outcome} = 'invalid')`,
)})`;

const ids = (taskIds: readonly TaskId[]) => taskIds;

/** Writes the usage of those of these tasks that are billed, from the rows of `tasks` as they now are. */
export const writeUsage = statement(ids, (database, json) => {
  return database
    .insert(usage)
    .select(
      database
        .select({
          taskId: tasks.taskId,
          accountId: tasks.accountId,
          keyId: tasks.keyId,
          modelName: tasks.modelName,
          promptTokens: tasks.promptTokens,
          completionTokens: tasks.completionTokens,
          atMs: tasks.endedAtMs,
        })
        .from(tasks)
        .where(and(inArray(tasks.taskId, listed(json)), isBilled))
        .orderBy(tasks.taskId),
    )
    .onConflictDoUpdate({
      target: usage.taskId,
      set: {
        accountId: sql`excluded.account_id`,
        keyId: sql`excluded.key_id`,
        modelName: sql`excluded.model_name`,
        promptTokens: sql`excluded.prompt_tokens`,
        completionTokens: sql`excluded.completion_tokens`,
        atMs: sql`excluded.at`,
      },
    });
});

/** Takes back the usage of those of these tasks that were told cancelled first and failed afterwards. */
export const dropUnbilledUsage = statement(ids, (database, json) => {
  return database.delete(usage).where(
    inArray(
      usage.taskId,
      database
        .select({ taskId: tasks.taskId })
        .from(tasks)
        .where(and(inArray(tasks.taskId, listed(json)), not(isBilled))),
    ),
  );
});

function listed(json: SQL): SQL {
  return sql`(select json_array_elements_text(${json}))`;
}
