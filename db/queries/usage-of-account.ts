import { and, count, eq, gte, sum } from "drizzle-orm";
import type { AccountId } from "../../core/ids.ts";
import type { Database } from "../connection.ts";
import { usage } from "../schema/usage.ts";

export interface AccountUsage {
  /** Billed tasks. */
  tasks: number;
  promptTokens: number;
  completionTokens: number;
}

/** What an account is billed for tasks that ended at `sinceMs` (milliseconds since the epoch) or later; zeros if none. */
export async function usageOfAccount(
  database: Database,
  { accountId, sinceMs }: { accountId: AccountId; sinceMs: number },
): Promise<AccountUsage> {
  const [total] = await database
    .select({
      tasks: count(),
      promptTokens: sum(usage.promptTokens).mapWith(Number),
      completionTokens: sum(usage.completionTokens).mapWith(Number),
    })
    .from(usage)
    .where(and(eq(usage.accountId, accountId), gte(usage.atMs, sinceMs)));
  // `sum` of no rows is NULL.
  return {
    tasks: total?.tasks ?? 0,
    promptTokens: total?.promptTokens ?? 0,
    completionTokens: total?.completionTokens ?? 0,
  };
}
