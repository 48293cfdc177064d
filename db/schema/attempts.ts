import { bigint, check, index, pgTable } from "drizzle-orm/pg-core";
import type { AttemptId, NodeId, TaskId } from "../../core/ids.ts";
import { type AttemptState, attemptStates } from "../../core/task/attempt-moves.ts";
import { text, timeMs } from "./columns.ts";
import { isOneOf } from "./states.ts";

/**
 * Each node's go at a task. `task_id` refers to `tasks` without a foreign key: attempts of one task come from several
 * writers, and one may arrive before its task.
 */
export const attempts = pgTable(
  "attempts",
  {
    attemptId: text("attempt_id").$type<AttemptId>().primaryKey(),
    taskId: text("task_id").$type<TaskId>().notNull(),
    nodeId: text("node_id").$type<NodeId>().notNull(),
    state: text("state").$type<AttemptState>().notNull(),
    reason: text("reason"),
    promptTokens: bigint("prompt_tokens", { mode: "number" }).notNull(),
    completionTokens: bigint("completion_tokens", { mode: "number" }).notNull(),
    assignedAtMs: timeMs("assigned_at").notNull(),
    ackedAtMs: timeMs("acked_at"),
    firstTokenAtMs: timeMs("first_token_at"),
    endedAtMs: timeMs("ended_at").notNull(),
  },
  (table) => [
    index("attempts_by_task").on(table.taskId),
    index("attempts_by_node").on(table.nodeId, table.assignedAtMs),
    check("attempts_state", isOneOf(table.state, attemptStates)),
  ],
);
export type AttemptRow = typeof attempts.$inferSelect;
