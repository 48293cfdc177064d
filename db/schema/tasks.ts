import { bigint, check, index, pgTable } from "drizzle-orm/pg-core";
import type { AccountId, KeyId, ModelHash, TaskId } from "../../core/ids.ts";
import type { ModelName } from "../../core/model/model-card.ts";
import type { TaskRecord } from "../../core/record/entry.ts";
import { type TaskState, taskStates } from "../../core/task/task-moves.ts";
import { text, timeMs } from "./columns.ts";
import { isOneOf } from "./states.ts";

/** Tasks as they ended; the text of prompts and answers is not here. */
export const tasks = pgTable(
  "tasks",
  {
    taskId: text("task_id").$type<TaskId>().primaryKey(),
    accountId: text("account_id").$type<AccountId>().notNull(),
    keyId: text("key_id").$type<KeyId>().notNull(),
    modelName: text("model_name").$type<ModelName>().notNull(),
    modelSha256: text("model_sha256").$type<ModelHash>().notNull(),
    task: text("task").$type<TaskRecord["task"]>().notNull(),
    state: text("state").$type<TaskState>().notNull(),
    finishReason: text("finish_reason").$type<NonNullable<TaskRecord["finishReason"]>>(),
    /** The refusal's code where the task failed or expired. */
    errorCode: text("error_code"),
    promptTokens: bigint("prompt_tokens", { mode: "number" }).notNull(),
    completionTokens: bigint("completion_tokens", { mode: "number" }).notNull(),
    createdAtMs: timeMs("created_at").notNull(),
    endedAtMs: timeMs("ended_at").notNull(),
  },
  (table) => [
    index("tasks_by_account").on(table.accountId, table.createdAtMs),
    check("tasks_state", isOneOf(table.state, taskStates)),
  ],
);
export type TaskRow = typeof tasks.$inferSelect;
