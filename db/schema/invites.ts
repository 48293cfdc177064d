import { bigint, index, pgTable } from "drizzle-orm/pg-core";
import type { AccountId, InviteId } from "../../core/ids.ts";
import { text, timeMs } from "./columns.ts";

/** What lets nodes join under an account. Like keys, without the secret. */
export const invites = pgTable(
  "invites",
  {
    inviteId: text("invite_id").$type<InviteId>().primaryKey(),
    accountId: text("account_id").$type<AccountId>().notNull(),
    name: text("name").notNull(),
    hint: text("hint").notNull(),
    // Entries bound their counts by what a JavaScript number holds exactly; a narrower column would refuse a whole batch.
    maxNodes: bigint("max_nodes", { mode: "number" }).notNull(),
    usedNodes: bigint("used_nodes", { mode: "number" }).notNull(),
    createdAtMs: timeMs("created_at").notNull(),
    expiresAtMs: timeMs("expires_at"),
    revokedAtMs: timeMs("revoked_at"),
  },
  (table) => [index("invites_by_account").on(table.accountId, table.createdAtMs)],
);
export type InviteRow = typeof invites.$inferSelect;
