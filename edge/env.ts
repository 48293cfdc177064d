import { z } from "zod";
import type { AccountObject } from "./objects/account-object.ts";
import type { AuditObject } from "./objects/audit-object.ts";
import type { NodeObject } from "./objects/node-object.ts";
import type { PoolObject } from "./objects/pool-object.ts";
import type { ResponseObject } from "./objects/response-object.ts";
import type { SessionObject } from "./objects/session-object.ts";
import type { StatusObject } from "./objects/status-object.ts";

/** What `wrangler.toml` and the deployment's secrets give the Worker and its objects. */
export interface Env {
  NODE: DurableObjectNamespace<NodeObject>;
  POOL: DurableObjectNamespace<PoolObject>;
  ACCOUNT: DurableObjectNamespace<AccountObject>;
  STATUS: DurableObjectNamespace<StatusObject>;
  RESPONSE: DurableObjectNamespace<ResponseObject>;
  SESSION: DurableObjectNamespace<SessionObject>;
  AUDIT: DurableObjectNamespace<AuditObject>;
  /** Where files are; a deployment without it has no files and batches. */
  FILES?: R2Bucket;
  /** A network on one machine has a directory in the bucket's place. */
  FILES_DIRECTORY?: Fetcher;
  /** Secret: the bootstrap admin key, any text of at least 16 characters. */
  ADMIN_KEY: string;
  /** Secret: what decides which answers are checked; derived from the admin key where it is not set. */
  AUDIT_SECRET?: string;
  /** Secret: `postgres://…` of the Neon database. */
  DATABASE_URL: string;
  /** Where the Neon driver posts its queries; only a local Postgres needs it. */
  NEON_FETCH_ENDPOINT?: string;
}

const settingsSchema = z.object({
  ADMIN_KEY: z.string().min(16, "set a secret ADMIN_KEY of at least 16 characters: wrangler secret put ADMIN_KEY"),
  DATABASE_URL: z.string().regex(/^postgres(ql)?:\/\//, "set a secret DATABASE_URL: wrangler secret put DATABASE_URL"),
});

/** The problem with the deployment's secrets as one sentence, or `undefined` when they are all there. */
export function settingsProblem(env: Env): string | undefined {
  const parsed = settingsSchema.safeParse(env);
  return parsed.success ? undefined : parsed.error.issues.map((issue) => issue.message).join("; ");
}

/** Settings found good, so that no request pays for the check again. */
let checked: Env | undefined;

/** Throws where the deployment's secrets are not all there; the caller of such a deployment learns only that it is our fault. */
export function requireSettings(env: Env): void {
  if (checked === env) return;
  const problem = settingsProblem(env);
  if (problem !== undefined) throw new Error(`this deployment is not set up: ${problem}`);
  checked = env;
}
