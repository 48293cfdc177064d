import { index, pgTable } from "drizzle-orm/pg-core";
import type { AccountId, NodeId } from "../../core/ids.ts";
import type { ModelCard } from "../../core/model/model-card.ts";
import { jsonb, text, timeMs } from "./columns.ts";

/** Every node that ever joined, as it was when it was last seen. */
export const nodes = pgTable(
  "nodes",
  {
    nodeId: text("node_id").$type<NodeId>().primaryKey(),
    /** The operator. */
    accountId: text("account_id").$type<AccountId>().notNull(),
    name: text("name").notNull(),
    publicKey: text("public_key").notNull(),
    software: text("software").notNull(),
    models: jsonb("models").$type<ModelCard[]>().notNull(),
    registeredAtMs: timeMs("registered_at").notNull(),
    seenAtMs: timeMs("seen_at").notNull(),
  },
  (table) => [index("nodes_by_account").on(table.accountId, table.registeredAtMs)],
);
export type NodeRow = typeof nodes.$inferSelect;
