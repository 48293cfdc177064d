import type { Context } from "hono";
import { nodeIdSchema } from "../../core/ids.ts";
import { Refusal } from "../../core/refusal.ts";
import { listSuspensions } from "../../db/queries/list-suspensions.ts";
import type { AppEnv } from "../app-env.ts";
import { authenticateAdmin } from "../authenticate.ts";
import { connectFromEnv } from "../objects/send-record.ts";
import { fromRecord } from "./admin-secrets.ts";

/** `GET /v1/admin/suspensions`: nodes that are suspended, the latest first, at most 1,000. */
export async function getSuspensions(context: Context<AppEnv>): Promise<Response> {
  await authenticateAdmin(context.req.raw, context.env);
  const rows = await fromRecord(() => listSuspensions(connectFromEnv(context.env), { limit: 1_000 }));
  return context.json({
    object: "list",
    data: rows.map(({ nodeId, suspendedAtMs, reason }) => ({
      object: "suspension",
      node: nodeId,
      suspended_at: suspendedAtMs === null ? null : Math.floor(suspendedAtMs / 1_000),
      reason,
    })),
  });
}

/** `DELETE /v1/admin/suspensions/{node}`: lets a node back in, as a new one. Doing it twice does no harm. */
export async function deleteSuspension(context: Context<AppEnv>): Promise<Response> {
  const { env, req } = context;
  await authenticateAdmin(req.raw, env);
  const nodeId = nodeIdSchema.safeParse(req.param("id")).data;
  const isKnown = nodeId !== undefined && (await env.NODE.get(env.NODE.idFromName(nodeId)).reinstate());
  if (isKnown) return context.json({ object: "suspension", node: nodeId, lifted: true });
  throw new Refusal({
    code: "not_found",
    param: "id",
    message: `There is no node '${req.param("id")?.slice(0, 100)}'. List those that are suspended with GET /v1/admin/suspensions.`,
  });
}
