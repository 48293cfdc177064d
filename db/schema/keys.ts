import { index, pgTable } from "drizzle-orm/pg-core";
import type { AccountId, KeyId } from "../../core/ids.ts";
import { text, timeMs } from "./columns.ts";

/** API keys as an owner may see them: never the key nor its hash, which only the account's object holds. */
export const keys = pgTable(
  "keys",
  {
    keyId: text("key_id").$type<KeyId>().primaryKey(),
    accountId: text("account_id").$type<AccountId>().notNull(),
    name: text("name").notNull(),
    /** The key's last characters. */
    hint: text("hint").notNull(),
    createdAtMs: timeMs("created_at").notNull(),
    revokedAtMs: timeMs("revoked_at"),
  },
  (table) => [index("keys_by_account").on(table.accountId, table.createdAtMs)],
);
export type KeyRow = typeof keys.$inferSelect;
