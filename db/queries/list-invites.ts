import { desc, eq } from "drizzle-orm";
import type { AccountId } from "../../core/ids.ts";
import type { Database } from "../connection.ts";
import { type InviteRow, invites } from "../schema/invites.ts";
import { boundedLimit } from "./bounded-limit.ts";

/** Invites, newest first, at most `limit` (1 to 1,000, 100 unless told), of one account or of all; spent ones too. */
export async function listInvites(
  database: Database,
  { accountId, limit }: { accountId?: AccountId | undefined; limit?: number | undefined } = {},
): Promise<InviteRow[]> {
  return database
    .select()
    .from(invites)
    .where(accountId === undefined ? undefined : eq(invites.accountId, accountId))
    .orderBy(desc(invites.createdAtMs), desc(invites.inviteId))
    .limit(boundedLimit(limit));
}
