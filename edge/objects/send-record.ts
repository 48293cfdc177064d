import type { RecordEntry } from "../../core/record/entry.ts";
import { connect } from "../../db/connection.ts";
import { record } from "../../db/record.ts";
import type { Env } from "../env.ts";

/** How an outbox reaches Postgres: one batch, one transaction, one HTTP request. Rejects where Postgres did not confirm. */
export function recordSender(env: Env): (entries: RecordEntry[]) => Promise<void> {
  return (entries) => record(connectFromEnv(env), entries);
}

/** The deployment's Postgres over Neon's HTTP driver. */
export function connectFromEnv(env: Env): ReturnType<typeof connect> {
  return connect({
    databaseUrl: env.DATABASE_URL,
    ...(env.NEON_FETCH_ENDPOINT === undefined ? {} : { fetchEndpoint: env.NEON_FETCH_ENDPOINT }),
  });
}
