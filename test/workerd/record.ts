import { runInDurableObject } from "cloudflare:test";
import type { AccountId } from "../../core/ids.ts";
import type { TaskRecord } from "../../core/record/entry.ts";
import { isTerminal } from "../../core/task/task-moves.ts";
import type { TaskFrame } from "../../core/wire/router-frame.ts";
import { mergeEntries } from "../../db/merge-entries.ts";
import type { AttemptRow } from "../../db/schema/attempts.ts";
import type { TaskRow } from "../../db/schema/tasks.ts";
import { accountStub, nodeStub, outboxOf } from "./deployment.ts";
import type { FakeNode } from "./fake-node.ts";
import { until } from "./until.ts";

/** Whose objects may have something to tell Postgres of a task. */
export interface Tellers {
  nodes: readonly FakeNode[];
  accountId: AccountId;
}

type TaskName = Pick<TaskFrame, "taskId">;

/** Everything that waits to be told of a task; each teller's in the order in which it was written. */
export async function toldOf({ taskId }: TaskName, { nodes, accountId }: Tellers): Promise<TaskRecord[]> {
  const outboxes = [...nodes.map((node) => outboxOf(nodeStub(node))), outboxOf(accountStub(accountId))];
  const entries = (await Promise.all(outboxes)).flat();
  return entries.filter((entry) => entry.kind === "task").filter((entry) => entry.taskId === taskId);
}

/** The ends told of a task: one, however it went. */
export async function endsOf(task: TaskName, tellers: Tellers): Promise<TaskRecord[]> {
  return (await toldOf(task, tellers)).filter(({ state }) => isTerminal(state));
}

/**
 * A task as Postgres will have it, once its end is written down: one row, and one for each attempt in the order in which
 * they began. Needs Postgres to be down, so that what is told of it waits.
 */
export function recordOf(task: TaskName, tellers: Tellers): Promise<TaskRow & { attempts: AttemptRow[] }> {
  return until(async () => {
    const { tasks, attempts } = mergeEntries(await toldOf(task, tellers));
    const row = tasks.find(({ state }) => isTerminal(state));
    return row && { ...row, attempts: attempts.toSorted((one, other) => one.assignedAtMs - other.assignedAtMs) };
  }, `the record of ${task.taskId}`);
}

/** Resolves once a node's object has so many open leases in its storage: they would outlive a reset. */
export async function untilKept(node: FakeNode, leases = 1): Promise<void> {
  await until(async () => {
    const kept = await runInDurableObject(
      nodeStub(node),
      (_node, { storage }) => storage.sql.exec("SELECT id FROM outbox WHERE lease IS NOT NULL").toArray().length,
    );
    return kept === leases || undefined;
  }, `${leases} leases in storage`);
}
