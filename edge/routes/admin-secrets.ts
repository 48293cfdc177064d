import type { Context } from "hono";
import { z } from "zod";
import { accountIdSchema, inviteIdSchema, keyIdSchema, newAccountId } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import { Refusal } from "../../core/refusal.ts";
import { listInvites } from "../../db/queries/list-invites.ts";
import { listKeys } from "../../db/queries/list-keys.ts";
import type { AppEnv } from "../app-env.ts";
import { authenticateAdmin } from "../authenticate.ts";
import type { Env } from "../env.ts";
import type { AccountObject } from "../objects/account-object.ts";
import { connectFromEnv } from "../objects/send-record.ts";
import { parseRequest } from "../openai/parse-request.ts";
import { readJson } from "../read-body.ts";

const name = z.string().min(1, "must not be empty").max(200, "must have at most 200 characters").default("unnamed");
const account = accountIdSchema.optional();

const newKeySchema = z.strictObject({ name, account });
const newInviteSchema = z.strictObject({
  name,
  account,
  max_nodes: z
    .int()
    .min(1, "must be at least 1")
    .max(limits.nodesPerInvite, `must be at most ${limits.nodesPerInvite}`)
    .default(1),
  expires_in_seconds: z
    .int()
    .min(60, "must be at least 60")
    .max(10 * 365 * 86_400, "must be at most ten years")
    .optional(),
});

/** `POST /v1/admin/keys`: draws a key for an account, a new one where none is named. The secret is told this once. */
export async function postKey(context: Context<AppEnv>): Promise<Response> {
  await authenticateAdmin(context.req.raw, context.env);
  const order = parseRequest(newKeySchema, await readJson(context.req.raw));
  const accountId = order.account ?? newAccountId();
  const issued = await accountOf(context.env, accountId).createKey({ accountId, name: order.name });
  return context.json(
    {
      object: "key",
      id: issued.id,
      account: accountId,
      name: issued.name,
      key: issued.secret,
      created_at: seconds(issued.createdAtMs),
    },
    201,
  );
}

/** `GET /v1/admin/keys`: keys without their secrets, newest first, at most 1,000; `?account=` narrows. */
export async function getKeys(context: Context<AppEnv>): Promise<Response> {
  await authenticateAdmin(context.req.raw, context.env);
  const rows = await fromRecord(() => listKeys(connectFromEnv(context.env), { ...filterOf(context), limit: 1_000 }));
  return context.json({
    object: "list",
    data: rows.map((row) => ({
      object: "key",
      id: row.keyId,
      account: row.accountId,
      name: row.name,
      hint: row.hint,
      created_at: seconds(row.createdAtMs),
      revoked_at: optionalSeconds(row.revokedAtMs),
    })),
  });
}

/** `DELETE /v1/admin/keys/{id}`: revokes a key, everywhere within 30 seconds. Doing it twice does no harm. */
export async function deleteKey(context: Context<AppEnv>): Promise<Response> {
  await authenticateAdmin(context.req.raw, context.env);
  const id = keyIdSchema.safeParse(context.req.param("id"));
  const isRevoked = id.success && (await accountOf(context.env, accountPart(id.data)).revokeKey(id.data));
  if (!isRevoked) throw unknownId("key", context.req.param("id"));
  return context.json({ object: "key", id: id.data, revoked: true });
}

/** `POST /v1/admin/invites`: draws an invite by which up to `max_nodes` nodes join as the account's own. */
export async function postInvite(context: Context<AppEnv>): Promise<Response> {
  await authenticateAdmin(context.req.raw, context.env);
  const order = parseRequest(newInviteSchema, await readJson(context.req.raw));
  const accountId = order.account ?? newAccountId();
  const expiresAtMs = order.expires_in_seconds === undefined ? null : Date.now() + order.expires_in_seconds * 1_000;
  const issued = await accountOf(context.env, accountId).createInvite({
    accountId,
    name: order.name,
    maxNodes: order.max_nodes,
    expiresAtMs,
  });
  return context.json(
    {
      object: "invite",
      id: issued.id,
      account: accountId,
      name: issued.name,
      token: issued.secret,
      max_nodes: order.max_nodes,
      created_at: seconds(issued.createdAtMs),
      expires_at: optionalSeconds(expiresAtMs),
    },
    201,
  );
}

/** `GET /v1/admin/invites`: invites without their tokens, newest first, at most 1,000; `?account=` narrows. */
export async function getInvites(context: Context<AppEnv>): Promise<Response> {
  await authenticateAdmin(context.req.raw, context.env);
  const rows = await fromRecord(() => listInvites(connectFromEnv(context.env), { ...filterOf(context), limit: 1_000 }));
  return context.json({
    object: "list",
    data: rows.map((row) => ({
      object: "invite",
      id: row.inviteId,
      account: row.accountId,
      name: row.name,
      hint: row.hint,
      max_nodes: row.maxNodes,
      used_nodes: row.usedNodes,
      created_at: seconds(row.createdAtMs),
      expires_at: optionalSeconds(row.expiresAtMs),
      revoked_at: optionalSeconds(row.revokedAtMs),
    })),
  });
}

/** `DELETE /v1/admin/invites/{id}`: no further node joins by it. */
export async function deleteInvite(context: Context<AppEnv>): Promise<Response> {
  await authenticateAdmin(context.req.raw, context.env);
  const id = inviteIdSchema.safeParse(context.req.param("id"));
  const isRevoked = id.success && (await accountOf(context.env, accountPart(id.data)).revokeInvite(id.data));
  if (!isRevoked) throw unknownId("invite", context.req.param("id"));
  return context.json({ object: "invite", id: id.data, revoked: true });
}

function accountOf(env: Env, accountId: string): DurableObjectStub<AccountObject> {
  return env.ACCOUNT.get(env.ACCOUNT.idFromName(accountId));
}

/** Ids of keys and invites carry their account: `key_<account>_…`. */
function accountPart(id: string): string {
  return id.split("_")[1] ?? "";
}

function filterOf(context: Context<AppEnv>): { accountId?: z.infer<typeof accountIdSchema> } {
  const given = context.req.query("account");
  return given === undefined
    ? {}
    : { accountId: parseRequest(z.object({ account: accountIdSchema }), { account: given }).account };
}

/** What Postgres says, or a refusal `record_unavailable`. */
export async function fromRecord<Rows>(query: () => Promise<Rows>): Promise<Rows> {
  try {
    return await query();
  } catch (cause) {
    console.error("admin: Postgres did not answer", { error: String(cause) });
    throw new Refusal({
      code: "record_unavailable",
      message:
        "The record (Postgres) does not answer, so there is no list now. Keys and nodes go on working; try again.",
      cause,
    });
  }
}

function unknownId(what: "key" | "invite", id: string | undefined): Refusal {
  return new Refusal({
    code: "not_found",
    param: "id",
    message: `There is no ${what} '${id?.slice(0, 100)}'. List them with GET /v1/admin/${what}s.`,
  });
}

function seconds(timeMs: number): number {
  return Math.floor(timeMs / 1_000);
}

function optionalSeconds(timeMs: number | null): number | null {
  return timeMs === null ? null : seconds(timeMs);
}
