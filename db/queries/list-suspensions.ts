import { desc, isNotNull } from "drizzle-orm";
import type { Database } from "../connection.ts";
import { type SuspensionRow, suspensions } from "../schema/suspensions.ts";
import { boundedLimit } from "./bounded-limit.ts";

/** Nodes that are suspended, the latest first. */
export function listSuspensions(database: Database, { limit }: { limit: number }): Promise<SuspensionRow[]> {
  return database
    .select()
    .from(suspensions)
    .where(isNotNull(suspensions.suspendedAtMs))
    .orderBy(desc(suspensions.suspendedAtMs), suspensions.nodeId)
    .limit(boundedLimit(limit));
}
