import { desc, eq } from "drizzle-orm";
import type { AccountId } from "../../core/ids.ts";
import type { Database } from "../connection.ts";
import { type KeyRow, keys } from "../schema/keys.ts";
import { boundedLimit } from "./bounded-limit.ts";

/** Keys, newest first, at most `limit` (1 to 1,000, 100 unless told), of one account or of all; revoked ones too. */
export async function listKeys(
  database: Database,
  { accountId, limit }: { accountId?: AccountId | undefined; limit?: number | undefined } = {},
): Promise<KeyRow[]> {
  return database
    .select()
    .from(keys)
    .where(accountId === undefined ? undefined : eq(keys.accountId, accountId))
    .orderBy(desc(keys.createdAtMs), desc(keys.keyId))
    .limit(boundedLimit(limit));
}
