import type { Context } from "hono";
import { z } from "zod";
import { nodeIdSchema } from "../../core/ids.ts";
import { Refusal } from "../../core/refusal.ts";
import type { AppEnv } from "../app-env.ts";
import { authenticateAdmin } from "../authenticate.ts";

/** A pool's name: model file, region, shard. */
const poolNameSchema = z.string().regex(/^[0-9a-f]{64}\/[a-z0-9-]{1,32}\/\d{1,3}$/);

/**
 * `GET /v1/admin/trace?object=node&name=node_…` or `?object=pool&name=<model hash>/global/0`: what the object's core was
 * told of late, a line of JSON each, for `npm run replay FILE`. It holds ids, counts and times; no prompt, no answer.
 */
export async function getTrace(context: Context<AppEnv>): Promise<Response> {
  await authenticateAdmin(context.req.raw, context.env);
  const { env, req } = context;
  const name = req.query("name");
  const headers = { "content-type": "application/jsonl; charset=utf-8" };
  const nodeId = nodeIdSchema.safeParse(name);
  if (req.query("object") === "node" && nodeId.success) {
    return new Response(await env.NODE.get(env.NODE.idFromName(nodeId.data)).exportTrace(), { headers });
  }
  const pool = poolNameSchema.safeParse(name);
  if (req.query("object") === "pool" && pool.success) {
    return new Response(await env.POOL.get(env.POOL.idFromName(pool.data)).exportTrace(), { headers });
  }
  throw new Refusal({
    code: "invalid_value",
    param: "name",
    message: "Say whose trace: ?object=node&name=node_… or ?object=pool&name=<model file's SHA-256>/global/<shard>.",
  });
}
