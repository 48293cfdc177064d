import { bigint, check, doublePrecision, index, pgTable } from "drizzle-orm/pg-core";
import type { AccountId, ModelHash, NodeId, TaskId } from "../../core/ids.ts";
import type { ModelName } from "../../core/model/model-card.ts";
import { type VerdictRecord, verdictOutcomes } from "../../core/record/entry.ts";
import { jsonb, text, timeMs } from "./columns.ts";
import { isOneOf } from "./states.ts";

/** What checks said of answers: one row for each that was chosen. What was asked and answered is not here. */
export const verdicts = pgTable(
  "verdicts",
  {
    taskId: text("task_id").$type<TaskId>().primaryKey(),
    nodeId: text("node_id").$type<NodeId>().notNull(),
    operator: text("operator").$type<AccountId>().notNull(),
    modelName: text("model_name").$type<ModelName>().notNull(),
    modelSha256: text("model_sha256").$type<ModelHash>().notNull(),
    outcome: text("outcome").$type<VerdictRecord["outcome"]>().notNull(),
    /** In logits; null where nothing was looked at. */
    meanMargin: doublePrecision("mean_margin"),
    positions: bigint("positions", { mode: "number" }).notNull(),
    reasons: jsonb("reasons").$type<string[]>().notNull(),
    /** Nodes that checked it, in order. */
    validators: jsonb("validators").$type<NodeId[]>().notNull(),
    /** Counts a case's verdicts; the latest stands. */
    revision: bigint("revision", { mode: "number" }).notNull(),
    atMs: timeMs("at").notNull(),
  },
  (table) => [
    index("verdicts_by_node").on(table.nodeId, table.atMs),
    check("verdicts_outcome", isOneOf(table.outcome, verdictOutcomes)),
  ],
);
export type VerdictRow = typeof verdicts.$inferSelect;
