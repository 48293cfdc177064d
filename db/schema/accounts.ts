import { pgTable } from "drizzle-orm/pg-core";
import type { AccountId } from "../../core/ids.ts";
import { text, timeMs } from "./columns.ts";

/** Everyone who calls the network or brings nodes to it. */
export const accounts = pgTable("accounts", {
  accountId: text("account_id").$type<AccountId>().primaryKey(),
  name: text("name").notNull(),
  createdAtMs: timeMs("created_at").notNull(),
});
export type AccountRow = typeof accounts.$inferSelect;
