import type { Query } from "drizzle-orm";
import { limits } from "../core/limits.ts";
import type { RecordEntry } from "../core/record/entry.ts";
import { dropUnbilledUsage, writeUsage } from "./bill.ts";
import type { Database } from "./connection.ts";
import { mergeEntries } from "./merge-entries.ts";
import {
  upsertAccounts,
  upsertAttempts,
  upsertInvites,
  upsertKeys,
  upsertNodes,
  upsertSuspensions,
  upsertTasks,
  upsertVerdicts,
} from "./upserts.ts";

/**
 * Writes at most 100 entries (`limits.outboxBatchEntries`), oldest first, in one request and one transaction: all or none.
 * The same entries may come again, in another order and from several writers at once, and count once.
 *
 * Rejects where Postgres refuses (`NeonDbError` with its SQLSTATE as `code`) or does not answer in time (see `connect`);
 * then it may have been written or not, and the batch is to be sent again. A longer batch is a `RangeError`, a bug.
 */
export async function record(database: Database, entries: readonly RecordEntry[]): Promise<void> {
  if (entries.length > limits.outboxBatchEntries) {
    throw new RangeError(`A batch holds at most ${limits.outboxBatchEntries} entries; this one has ${entries.length}.`);
  }
  const rows = mergeEntries(entries);
  const taskIds = [...new Set([...rows.tasks, ...rows.verdicts].map(({ taskId }) => taskId))];
  // Always in this order of tables, so that two batches cannot wait for each other's rows in a circle.
  const statements: Query[] = [];
  if (rows.accounts.length > 0) statements.push(upsertAccounts(rows.accounts));
  if (rows.keys.length > 0) statements.push(upsertKeys(rows.keys));
  if (rows.invites.length > 0) statements.push(upsertInvites(rows.invites));
  if (rows.nodes.length > 0) statements.push(upsertNodes(rows.nodes));
  if (rows.tasks.length > 0) statements.push(upsertTasks(rows.tasks));
  if (rows.attempts.length > 0) statements.push(upsertAttempts(rows.attempts));
  if (rows.verdicts.length > 0) statements.push(upsertVerdicts(rows.verdicts));
  if (rows.suspensions.length > 0) statements.push(upsertSuspensions(rows.suspensions));
  // After tasks and verdicts, since what is billed is read from their rows.
  if (taskIds.length > 0) statements.push(writeUsage(taskIds), dropUnbilledUsage(taskIds));

  if (statements.length === 0) return;
  const { $client: client } = database;
  await client.transaction(statements.map(({ sql, params }) => client.query(sql, params)));
}
