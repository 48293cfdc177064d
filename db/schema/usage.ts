import { bigint, index, pgTable } from "drizzle-orm/pg-core";
import type { AccountId, KeyId, TaskId } from "../../core/ids.ts";
import type { ModelName } from "../../core/model/model-card.ts";
import { text, timeMs } from "./columns.ts";

/** What is billed: one row a task that completed, or was cancelled after tokens came. A failed task has none. */
export const usage = pgTable(
  "usage",
  {
    taskId: text("task_id").$type<TaskId>().primaryKey(),
    accountId: text("account_id").$type<AccountId>().notNull(),
    keyId: text("key_id").$type<KeyId>().notNull(),
    modelName: text("model_name").$type<ModelName>().notNull(),
    promptTokens: bigint("prompt_tokens", { mode: "number" }).notNull(),
    completionTokens: bigint("completion_tokens", { mode: "number" }).notNull(),
    /** When the task ended. */
    atMs: timeMs("at").notNull(),
  },
  (table) => [index("usage_by_account").on(table.accountId, table.atMs)],
);
export type UsageRow = typeof usage.$inferSelect;
