import { index, pgTable } from "drizzle-orm/pg-core";
import type { NodeId } from "../../core/ids.ts";
import { text, timeMs } from "./columns.ts";

/** Nodes that checks have had suspended, and those that were let back in. */
export const suspensions = pgTable(
  "suspensions",
  {
    nodeId: text("node_id").$type<NodeId>().primaryKey(),
    /** Null where it was taken back. */
    suspendedAtMs: timeMs("suspended_at"),
    reason: text("reason"),
    toldAtMs: timeMs("told_at").notNull(),
  },
  (table) => [index("suspensions_by_time").on(table.suspendedAtMs)],
);
export type SuspensionRow = typeof suspensions.$inferSelect;
