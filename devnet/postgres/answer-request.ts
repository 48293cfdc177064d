import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Outcome } from "./postgres.ts";
import {
  headersSchema,
  requestSchema,
  resultBody,
  type SqlErrorBody,
  type SqlHeaders,
  type SqlRequest,
  sqlErrorBody,
} from "./sql-over-http.ts";

/** Neon's own limit. */
const maxBodyBytes = 64 * 1024 * 1024;

export interface Answer {
  status: number;
  body: unknown;
}

/**
 * What to answer to one HTTP request, or `undefined` where the client went away while it was sending.
 *
 * Errors of SQL, of access (28P01) and of the request itself (08P01) are status 400 with Postgres's error fields, which
 * Neon's driver makes a `NeonDbError` of. `perform` runs the statements; what it throws is thrown.
 */
export async function answerRequest(
  request: IncomingMessage,
  { password, perform }: { password: string; perform: (asked: SqlRequest, headers: SqlHeaders) => Promise<Outcome> },
): Promise<Answer | undefined> {
  const target = `${request.method} ${request.url}`;
  if (target === "GET /healthz") return { status: 200, body: { ok: true } };
  if (target !== "POST /sql") return { status: 404, body: { message: "Ask POST /sql or GET /healthz." } };
  const parsedHeaders = headersSchema.safeParse(request.headers);
  if (!parsedHeaders.success) return refusal({ message: issuesOf(parsedHeaders.error), code: "08P01" });
  const headers = parsedHeaders.data;
  if (!isAllowed(headers, password)) {
    return refusal({ message: "password authentication failed", severity: "FATAL", code: "28P01" });
  }
  const body = await readBody(request);
  if (body === "aborted") return undefined;
  if (body === "too large") {
    return {
      status: 413,
      body: { message: `The request is larger than ${maxBodyBytes} bytes; send fewer rows at once.` },
    };
  }
  const asked = parseBody(body);
  if (!asked.ok) return refusal({ message: asked.message, code: "08P01" });
  const outcome = await perform(asked.request, headers);
  if (!outcome.ok) return { status: 400, body: outcome.error };
  const results = outcome.results.map((result) => resultBody(result, { asArrays: headers["neon-array-mode"] }));
  return { status: 200, body: "queries" in asked.request ? { results } : results[0] };
}

function refusal(error: Partial<SqlErrorBody> & { message: string }): Answer {
  return { status: 400, body: sqlErrorBody(error) };
}

/** True where the connection string names the password. Digests are compared, so that time tells nothing of it. */
function isAllowed(headers: SqlHeaders, password: string): boolean {
  const url = URL.parse(headers["neon-connection-string"]);
  if (url === null) return false;
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(passwordOf(url)), digest(password));
}

function passwordOf(url: URL): string {
  try {
    return decodeURIComponent(url.password);
  } catch (error) {
    // A lone % in it: then it is what it says.
    if (error instanceof URIError) return url.password;
    throw error;
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer | "too large" | "aborted"> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of request) {
      if (!Buffer.isBuffer(chunk)) throw new Error("A request without an encoding gives buffers.");
      sizeBytes += chunk.length;
      // The rest is read and dropped: a client that is still sending would not read the answer.
      if (sizeBytes <= maxBodyBytes) chunks.push(chunk);
    }
  } catch (error) {
    if (!request.complete) return "aborted";
    throw error;
  }
  return sizeBytes > maxBodyBytes ? "too large" : Buffer.concat(chunks);
}

function parseBody(body: Buffer): { ok: true; request: SqlRequest } | { ok: false; message: string } {
  let json: unknown;
  try {
    json = JSON.parse(body.toString("utf8"));
  } catch (error) {
    return { ok: false, message: `the body is not JSON: ${error}` };
  }
  const parsed = requestSchema.safeParse(json);
  return parsed.success ? { ok: true, request: parsed.data } : { ok: false, message: issuesOf(parsed.error) };
}

function issuesOf({ issues }: { issues: readonly { path: PropertyKey[]; message: string }[] }): string {
  return issues.map(({ path, message }) => [...path.map(String), message].join(": ")).join("; ");
}
