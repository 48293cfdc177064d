import { type SQL, sql } from "drizzle-orm";
import type { PgColumn } from "drizzle-orm/pg-core";
import { rowsOf, toJsonRows } from "./rows-of.ts";
import { accounts } from "./schema/accounts.ts";
import { attempts } from "./schema/attempts.ts";
import { invites } from "./schema/invites.ts";
import { keys } from "./schema/keys.ts";
import { nodes } from "./schema/nodes.ts";
import { suspensions } from "./schema/suspensions.ts";
import { tasks } from "./schema/tasks.ts";
import { verdicts } from "./schema/verdicts.ts";
import { attemptStandings, standingOf, taskStandings } from "./standings.ts";
import { statement } from "./statement.ts";

// One statement a table, whatever the number of rows. Each does with the rows that Postgres has what `merge-entries.ts`
// does with the rows of a batch, so that entries lead to one record in whichever batches and order they come.

/** Accounts: the name as told last, the earliest creation. */
export const upsertAccounts = statement(toJsonRows(accounts), (database, json) => {
  return database
    .insert(accounts)
    .select(rowsOf(accounts, json))
    .onConflictDoUpdate({
      target: accounts.accountId,
      set: { name: told(accounts.name), createdAtMs: lesser(accounts.createdAtMs) },
    });
});

/** Keys: the words as told last; a revocation is never undone, and the earliest counts. */
export const upsertKeys = statement(toJsonRows(keys), (database, json) => {
  return database
    .insert(keys)
    .select(rowsOf(keys, json))
    .onConflictDoUpdate({
      target: keys.keyId,
      set: {
        accountId: told(keys.accountId),
        name: told(keys.name),
        hint: told(keys.hint),
        createdAtMs: lesser(keys.createdAtMs),
        revokedAtMs: lesser(keys.revokedAtMs),
      },
    });
});

/** Invites: as keys; the nodes brought in only grow. */
export const upsertInvites = statement(toJsonRows(invites), (database, json) => {
  return database
    .insert(invites)
    .select(rowsOf(invites, json))
    .onConflictDoUpdate({
      target: invites.inviteId,
      set: {
        accountId: told(invites.accountId),
        name: told(invites.name),
        hint: told(invites.hint),
        maxNodes: told(invites.maxNodes),
        usedNodes: greater(invites.usedNodes),
        createdAtMs: lesser(invites.createdAtMs),
        expiresAtMs: told(invites.expiresAtMs),
        revokedAtMs: lesser(invites.revokedAtMs),
      },
    });
});

/** Nodes: as they were when last seen, the earliest registration. */
export const upsertNodes = statement(toJsonRows(nodes), (database, json) => {
  const latest = (column: PgColumn) =>
    sql`case when ${told(nodes.seenAtMs)} >= ${nodes.seenAtMs} then ${told(column)} else ${column} end`;
  return database
    .insert(nodes)
    .select(rowsOf(nodes, json))
    .onConflictDoUpdate({
      target: nodes.nodeId,
      set: {
        accountId: latest(nodes.accountId),
        name: latest(nodes.name),
        publicKey: latest(nodes.publicKey),
        software: latest(nodes.software),
        models: latest(nodes.models),
        registeredAtMs: lesser(nodes.registeredAtMs),
        seenAtMs: greater(nodes.seenAtMs),
      },
    });
});

/** Tasks: see `mergeTasks`. */
export const upsertTasks = statement(toJsonRows(tasks), (database, json) => {
  const rank = (of: (column: PgColumn) => SQL) =>
    sql`(${standingOf(of(tasks.state), taskStandings)}, ${of(tasks.promptTokens)} + ${of(tasks.completionTokens)}, ${of(tasks.endedAtMs)})`;
  return database
    .insert(tasks)
    .select(rowsOf(tasks, json))
    .onConflictDoUpdate({
      target: tasks.taskId,
      set: {
        accountId: told(tasks.accountId),
        keyId: told(tasks.keyId),
        modelName: told(tasks.modelName),
        modelSha256: told(tasks.modelSha256),
        task: told(tasks.task),
        state: told(tasks.state),
        finishReason: told(tasks.finishReason),
        errorCode: told(tasks.errorCode),
        promptTokens: told(tasks.promptTokens),
        completionTokens: told(tasks.completionTokens),
        createdAtMs: told(tasks.createdAtMs),
        endedAtMs: told(tasks.endedAtMs),
      },
      setWhere: sql`${tasks.state} <> 'completed' and ${rank(told)} > ${rank(known)}`,
    });
});

/** Attempts: see `mergeAttempts`. */
export const upsertAttempts = statement(toJsonRows(attempts), (database, json) => {
  const rank = (of: (column: PgColumn) => SQL) =>
    sql`(${standingOf(of(attempts.state), attemptStandings)}, ${of(attempts.reason)} is not null, ${of(attempts.endedAtMs)})`;
  const believed = (column: PgColumn) =>
    sql`case when ${rank(told)} > ${rank(known)} then ${told(column)} else ${column} end`;
  return database
    .insert(attempts)
    .select(rowsOf(attempts, json))
    .onConflictDoUpdate({
      target: attempts.attemptId,
      set: {
        taskId: believed(attempts.taskId),
        nodeId: believed(attempts.nodeId),
        state: believed(attempts.state),
        reason: believed(attempts.reason),
        promptTokens: greater(attempts.promptTokens),
        completionTokens: greater(attempts.completionTokens),
        assignedAtMs: lesser(attempts.assignedAtMs),
        ackedAtMs: lesser(attempts.ackedAtMs),
        firstTokenAtMs: lesser(attempts.firstTokenAtMs),
        endedAtMs: believed(attempts.endedAtMs),
      },
    });
});

/** Verdicts: the latest of a case. */
export const upsertVerdicts = statement(toJsonRows(verdicts), (database, json) => {
  return database
    .insert(verdicts)
    .select(rowsOf(verdicts, json))
    .onConflictDoUpdate({
      target: verdicts.taskId,
      set: {
        nodeId: told(verdicts.nodeId),
        operator: told(verdicts.operator),
        modelName: told(verdicts.modelName),
        modelSha256: told(verdicts.modelSha256),
        outcome: told(verdicts.outcome),
        meanMargin: told(verdicts.meanMargin),
        positions: told(verdicts.positions),
        reasons: told(verdicts.reasons),
        validators: told(verdicts.validators),
        revision: told(verdicts.revision),
        atMs: told(verdicts.atMs),
      },
      setWhere: sql`${told(verdicts.revision)} > ${known(verdicts.revision)}`,
    });
});

/** Suspensions: as told last. */
export const upsertSuspensions = statement(toJsonRows(suspensions), (database, json) => {
  return database
    .insert(suspensions)
    .select(rowsOf(suspensions, json))
    .onConflictDoUpdate({
      target: suspensions.nodeId,
      set: {
        suspendedAtMs: told(suspensions.suspendedAtMs),
        reason: told(suspensions.reason),
        toldAtMs: told(suspensions.toldAtMs),
      },
      setWhere: sql`${told(suspensions.toldAtMs)} > ${known(suspensions.toldAtMs)}`,
    });
});

/** The value that the statement would insert. */
function told(column: PgColumn): SQL {
  return sql`excluded.${sql.identifier(column.name)}`;
}

/** The value that the row has. */
function known(column: PgColumn): SQL {
  return sql`${column}`;
}

/** Postgres leaves NULLs out of `least` and `greatest`, so that a time once known stays known. */
function lesser(column: PgColumn): SQL {
  return sql`least(${known(column)}, ${told(column)})`;
}

function greater(column: PgColumn): SQL {
  return sql`greatest(${known(column)}, ${told(column)})`;
}
