import type { AttemptId, TaskId } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import type { RecordEntry } from "../../core/record/entry.ts";
import { mergeEntries } from "../../db/merge-entries.ts";
import { mergeAttempts, mergeTasks } from "../../db/merge-tasks.ts";
import type { AttemptRow } from "../../db/schema/attempts.ts";
import type { TaskRow } from "../../db/schema/tasks.ts";
import { type Ground, holds } from "./ground.ts";

/** The record as Postgres keeps it: batches are merged by the very rules that make its upserts. */
export class Postgres {
  readonly tasks = new Map<TaskId, TaskRow>();
  readonly attempts = new Map<AttemptId, AttemptRow>();
  readonly #ground: Ground;
  /** Refuses every connection. */
  isAway = false;
  /** Takes every batch, and its answers are lost. */
  isMute = false;

  constructor(ground: Ground) {
    this.#ground = ground;
  }

  /** One batch in one transaction. `failed` may come though it was written, as with any lost answer. */
  write(entries: readonly RecordEntry[], done: () => void, failed: () => void): void {
    const { loop, dice, tally } = this.#ground;
    holds(entries.length <= limits.outboxBatchEntries, "no queue grows past its bound", () => "a batch is too long");
    tally.add("batches to Postgres");
    loop.after(dice.whole(3, 20), () => {
      if (this.isAway) {
        loop.after(dice.whole(1, 2_000), failed);
        return;
      }
      this.#merge(entries);
      loop.after(dice.whole(3, 20), this.isMute ? failed : done);
    });
  }

  /** What is billed for a task: nothing for one that failed, expired or is open. */
  usageOf(taskId: TaskId): { promptTokens: number; completionTokens: number } | undefined {
    const row = this.tasks.get(taskId);
    if (row === undefined) return undefined;
    const { state, promptTokens, completionTokens } = row;
    const isBilled = state === "completed" || (state === "cancelled" && promptTokens + completionTokens > 0);
    return isBilled ? { promptTokens, completionTokens } : undefined;
  }

  /** Ends tasks that were between two attempts when their Worker died: `db/queries/close-abandoned-tasks.ts`. */
  closeAbandoned(): void {
    for (const [taskId, row] of this.tasks) {
      if (row.state !== "queued") continue;
      this.#ground.tally.add("tasks ended by the sweep");
      this.tasks.set(taskId, { ...row, state: "failed", errorCode: row.errorCode ?? "stream_broken" });
    }
  }

  #merge(entries: readonly RecordEntry[]): void {
    const rows = mergeEntries(entries);
    for (const told of rows.tasks) {
      const known = this.tasks.get(told.taskId);
      const merged = known === undefined ? told : mergeTasks(known, told);
      this.#checkOnce(known, told, merged);
      this.tasks.set(told.taskId, merged);
    }
    for (const told of rows.attempts) {
      const known = this.attempts.get(told.attemptId);
      holds(known === undefined || known.nodeId === told.nodeId, "no lease is in two hands", () => {
        return `${told.attemptId} is on record for ${known?.nodeId} and ${told.nodeId}`;
      });
      // Every node here is honest.
      holds(told.reason?.startsWith("protocol:") !== true, "no node is blamed for what it did not do", () => {
        return `${told.attemptId} at ${told.nodeId}: ${told.reason}`;
      });
      this.attempts.set(told.attemptId, known === undefined ? told : mergeAttempts(known, told));
    }
  }

  /** A task that is on record as done stays as it is, and no other telling counts more for it. */
  #checkOnce(known: TaskRow | undefined, told: TaskRow, merged: TaskRow): void {
    if (known?.state !== "completed") return;
    holds(merged.completionTokens === known.completionTokens, "no task is recorded twice", () => told.taskId);
    if (told.state !== "completed") return;
    holds(told.completionTokens === known.completionTokens, "no task is recorded twice", () => {
      return `${told.taskId} completed with ${known.completionTokens} tokens and again with ${told.completionTokens}`;
    });
  }
}
