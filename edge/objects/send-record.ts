import { z } from "zod";
import type { RecordEntry } from "../../core/record/entry.ts";
import { connect } from "../../db/connection.ts";
import { record } from "../../db/record.ts";
import type { Env } from "../env.ts";
import { BatchRefused } from "./outbox.ts";

/**
 * How an outbox reaches Postgres: one batch, one transaction, one HTTP request. Rejects where Postgres did not confirm,
 * with {@link BatchRefused} where the data itself is at fault.
 */
export function recordSender(env: Env): (entries: RecordEntry[]) => Promise<void> {
  return async (entries) => {
    try {
      await record(connectFromEnv(env), entries);
    } catch (error) {
      throw isOfData(error) ? new BatchRefused(String(error), { cause: error }) : error;
    }
  };
}

const sqlErrorSchema = z.object({ code: z.string().optional(), cause: z.unknown() });

/** True for SQLSTATE classes 22 (data exception) and 23 (integrity constraint violation), wherever in the chain of causes. */
function isOfData(error: unknown): boolean {
  const parsed = sqlErrorSchema.safeParse(error);
  if (!parsed.success) return false;
  return /^2[23][0-9A-Z]{3}$/.test(parsed.data.code ?? "") || isOfData(parsed.data.cause);
}

/** The deployment's Postgres over Neon's HTTP driver. */
export function connectFromEnv(env: Env): ReturnType<typeof connect> {
  return connect({
    databaseUrl: env.DATABASE_URL,
    ...(env.NEON_FETCH_ENDPOINT === undefined ? {} : { fetchEndpoint: env.NEON_FETCH_ENDPOINT }),
  });
}
