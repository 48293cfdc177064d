import type { RecordEntry } from "../core/record/entry.ts";
import { earliest } from "./earliest.ts";
import { mergeAttempts, mergeTasks } from "./merge-tasks.ts";
import type { AccountRow } from "./schema/accounts.ts";
import type { AttemptRow } from "./schema/attempts.ts";
import type { InviteRow } from "./schema/invites.ts";
import type { KeyRow } from "./schema/keys.ts";
import type { NodeRow } from "./schema/nodes.ts";
import type { SuspensionRow } from "./schema/suspensions.ts";
import type { TaskRow } from "./schema/tasks.ts";
import type { VerdictRow } from "./schema/verdicts.ts";

/** Rows to write, at most one for each id and sorted by it, so that two writers lock rows in one order. */
export interface MergedRows {
  accounts: AccountRow[];
  keys: KeyRow[];
  invites: InviteRow[];
  nodes: NodeRow[];
  tasks: TaskRow[];
  attempts: AttemptRow[];
  verdicts: VerdictRow[];
  suspensions: SuspensionRow[];
}

/**
 * Entries as rows, table by table, everything told of one id made into one row.
 *
 * The rules are those of `upserts.ts`, which does the same with the rows that Postgres already has: INSERT … ON
 * CONFLICT may not touch a row twice, so a batch has to be merged before it is sent. `entries` is oldest first.
 */
export function mergeEntries(entries: readonly RecordEntry[]): MergedRows {
  const accounts = new Map<string, AccountRow>();
  const keys = new Map<string, KeyRow>();
  const invites = new Map<string, InviteRow>();
  const nodes = new Map<string, NodeRow>();
  const tasks = new Map<string, TaskRow>();
  const attempts = new Map<string, AttemptRow>();
  const verdicts = new Map<string, VerdictRow>();
  const suspensions = new Map<string, SuspensionRow>();
  for (const entry of entries) {
    switch (entry.kind) {
      case "account": {
        const { kind: _, ...row } = entry;
        put(accounts, { id: row.accountId, row, merge: mergeAccounts });
        break;
      }
      case "key": {
        const { kind: _, ...row } = entry;
        put(keys, { id: row.keyId, row, merge: mergeKeys });
        break;
      }
      case "invite": {
        const { kind: _, ...row } = entry;
        put(invites, { id: row.inviteId, row, merge: mergeInvites });
        break;
      }
      case "node": {
        const { kind: _, ...row } = entry;
        put(nodes, { id: row.nodeId, row, merge: mergeNodes });
        break;
      }
      case "verdict": {
        const { kind: _, ...row } = entry;
        put(verdicts, { id: row.taskId, row, merge: mergeVerdicts });
        break;
      }
      case "suspension": {
        const { kind: _, ...row } = entry;
        put(suspensions, { id: row.nodeId, row, merge: mergeSuspensions });
        break;
      }
      case "task": {
        const { kind: _, attempts: told, ...row } = entry;
        put(tasks, { id: row.taskId, row, merge: mergeTasks });
        for (const attempt of told) {
          put(attempts, { id: attempt.attemptId, row: { ...attempt, taskId: row.taskId }, merge: mergeAttempts });
        }
        break;
      }
    }
  }
  return {
    accounts: sorted(accounts),
    keys: sorted(keys),
    invites: sorted(invites),
    nodes: sorted(nodes),
    tasks: sorted(tasks),
    attempts: sorted(attempts),
    verdicts: sorted(verdicts),
    suspensions: sorted(suspensions),
  };
}

/** The later telling's words; its times and counts only where they are further. */
function mergeAccounts(known: AccountRow, told: AccountRow): AccountRow {
  return { ...told, createdAtMs: Math.min(known.createdAtMs, told.createdAtMs) };
}

function mergeKeys(known: KeyRow, told: KeyRow): KeyRow {
  return {
    ...told,
    createdAtMs: Math.min(known.createdAtMs, told.createdAtMs),
    revokedAtMs: earliest(known.revokedAtMs, told.revokedAtMs),
  };
}

function mergeInvites(known: InviteRow, told: InviteRow): InviteRow {
  return {
    ...told,
    usedNodes: Math.max(known.usedNodes, told.usedNodes),
    createdAtMs: Math.min(known.createdAtMs, told.createdAtMs),
    revokedAtMs: earliest(known.revokedAtMs, told.revokedAtMs),
  };
}

function mergeNodes(known: NodeRow, told: NodeRow): NodeRow {
  const latest = told.seenAtMs >= known.seenAtMs ? told : known;
  return { ...latest, registeredAtMs: Math.min(known.registeredAtMs, told.registeredAtMs) };
}

/** The later of a case's verdicts stands. */
function mergeVerdicts(known: VerdictRow, told: VerdictRow): VerdictRow {
  return told.revision > known.revision ? told : known;
}

function mergeSuspensions(known: SuspensionRow, told: SuspensionRow): SuspensionRow {
  return told.toldAtMs > known.toldAtMs ? told : known;
}

function put<Row>(
  rows: Map<string, Row>,
  { id, row, merge }: { id: string; row: Row; merge: (known: Row, told: Row) => Row },
): void {
  const known = rows.get(id);
  rows.set(id, known === undefined ? row : merge(known, row));
}

function sorted<Row>(rows: Map<string, Row>): Row[] {
  return [...rows].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, row]) => row);
}
