import { neon, neonConfig } from "@neondatabase/serverless";
import { drizzle } from "drizzle-orm/neon-http";

/** Longest wait for one request to Postgres: an object that waits longer holds up everything behind it. */
const defaultTimeoutMs = 5_000;

// The driver reads its endpoint from one setting for the whole process. The setting may be a function of the host and
// port of the connection string, so each connection's own endpoint is looked up by those.
const endpoints = new Map<string, string>();
const neonsOwnEndpoint = neonConfig.fetchEndpoint;
neonConfig.fetchEndpoint = (host, port, options) =>
  endpoints.get(`${host}:${port}`) ??
  (typeof neonsOwnEndpoint === "function" ? neonsOwnEndpoint(host, port, options) : neonsOwnEndpoint);

export interface ConnectionOptions {
  /** `postgres://user:password@host/database`. */
  databaseUrl: string;
  /** Where to post queries instead of Neon's own address for the host; a local Postgres needs it. */
  fetchEndpoint?: string | undefined;
  timeoutMs?: number;
}

export type Database = ReturnType<typeof connect>;

/**
 * A drizzle database over Neon's HTTP driver; runs in Workers and in Node. Opens nothing: each query or batch is one
 * request of its own, which rejects after `timeoutMs` (5,000 unless told otherwise): with a `NeonDbError` where no answer
 * began, with a `TimeoutError` where one did not end. Throws where `databaseUrl` is not a URL.
 */
export function connect({ databaseUrl, fetchEndpoint, timeoutMs = defaultTimeoutMs }: ConnectionOptions) {
  // Read as the driver reads it: as an `http:` URL, whose host and port it then asks the endpoint for.
  const { hostname, port } = new URL(databaseUrl.replace(/^postgres(ql)?:/, "http:"));
  if (fetchEndpoint === undefined) endpoints.delete(`${hostname}:${port}`);
  else endpoints.set(`${hostname}:${port}`, fetchEndpoint);
  const client = neon(databaseUrl, {
    // The driver spreads these options into each request, which makes a fresh signal for each.
    fetchOptions: {
      get signal() {
        return AbortSignal.timeout(timeoutMs);
      },
    },
  });
  return drizzle({ client });
}
