import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { answerRequest } from "./answer-request.ts";
import { lockDirectory } from "./directory-lock.ts";
import { type Outcome, Postgres } from "./postgres.ts";
import { beginStatement, type SqlHeaders, type SqlRequest, sqlErrorBody } from "./sql-over-http.ts";

/** How long a closing endpoint waits for clients to take the answers that are ready for them. */
const farewellMs = 2_000;

export interface PostgresEndpointOptions {
  /** Where the database is kept, made where there is none; in memory where it is left out. */
  dataDir?: string;
  /** 0 or left out: any free one. */
  port?: number;
  password: string;
  /** Told when Postgres itself broke down, after which every query fails: the process had better end. */
  onBreakdown?: (cause: unknown) => void;
}

export interface PostgresEndpoint {
  port: number;
  /** For `DATABASE_URL`. */
  connectionString: string;
  /** For `NEON_FETCH_ENDPOINT`. */
  fetchEndpoint: string;
  /** Answers what it has been asked, refuses the rest (57P01), closes the database and gives the directory back. */
  close(): Promise<void>;
}

/**
 * An embedded Postgres behind Neon's SQL-over-HTTP on 127.0.0.1, for Neon's own driver (`POST /sql`, `GET /healthz`).
 *
 * Throws `DirectoryInUse` where another process has the directory, and what Node throws where the port is taken.
 */
export async function startPostgresEndpoint(options: PostgresEndpointOptions): Promise<PostgresEndpoint> {
  const unlock = options.dataDir === undefined ? undefined : await lockDirectory(options.dataDir);
  let postgres: Postgres | undefined;
  try {
    postgres = await Postgres.open({ dataDir: options.dataDir });
    return await serve(postgres, { ...options, onClosed: async () => unlock?.() });
  } catch (error) {
    await postgres?.close();
    await unlock?.();
    throw error;
  }
}

async function serve(
  postgres: Postgres,
  { port = 0, password, onBreakdown, onClosed }: PostgresEndpointOptions & { onClosed: () => Promise<void> },
): Promise<PostgresEndpoint> {
  let isClosing = false;
  let breakdown: { cause: unknown } | undefined;

  const perform = async (asked: SqlRequest, headers: SqlHeaders): Promise<Outcome> => {
    if (isClosing) {
      const message = "the database is shutting down";
      return { ok: false, error: sqlErrorBody({ message, severity: "FATAL", code: "57P01" }) };
    }
    return "queries" in asked
      ? postgres.runBatch({ begin: beginStatement(headers), statements: asked.queries })
      : postgres.run(asked);
  };

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    try {
      const answer = await answerRequest(request, { password, perform });
      if (answer === undefined) return;
      if (isClosing) response.setHeader("connection", "close");
      response.writeHead(answer.status, { "content-type": "application/json" }).end(JSON.stringify(answer.body));
    } catch (cause) {
      response.writeHead(500, { "content-type": "application/json" }).end(JSON.stringify({ message: String(cause) }));
      breakdown ??= { cause };
      onBreakdown?.(cause);
    }
  };

  const server = createServer(handle);
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("A TCP server has an address once it listens.");

  return {
    port: address.port,
    connectionString: `postgres://postgres:${encodeURIComponent(password)}@127.0.0.1:${address.port}/postgres`,
    fetchEndpoint: `http://127.0.0.1:${address.port}/sql`,
    async close() {
      if (isClosing) throw new Error("A Postgres endpoint is closed once.");
      isClosing = true;
      const closed = once(server, "close");
      server.close();
      await postgres.idle();
      const farewell = setTimeout(() => server.closeAllConnections(), farewellMs);
      await closed;
      clearTimeout(farewell);
      // A Postgres that broke down cannot be closed; what was committed is in its write-ahead log.
      if (breakdown === undefined) await postgres.close();
      await onClosed();
    },
  };
}
