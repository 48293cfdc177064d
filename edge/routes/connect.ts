import type { Context } from "hono";
import { nodeIdSchema } from "../../core/ids.ts";
import { Refusal } from "../../core/refusal.ts";
import type { AppEnv } from "../app-env.ts";

/** `GET /v1/nodes/connect?node=<id>`: a node's WebSocket, handed to the node's own object, which asks who it is. */
export async function connectNode(context: Context<AppEnv>): Promise<Response> {
  const nodeId = nodeIdSchema.safeParse(context.req.query("node"));
  if (context.req.header("upgrade")?.toLowerCase() !== "websocket" || !nodeId.success) {
    throw new Refusal({
      code: "invalid_request",
      param: "node",
      message: "This is where nodes dial in with a WebSocket: cortensor-node start --router <URL> --token <invite>.",
    });
  }
  return context.env.NODE.get(context.env.NODE.idFromName(nodeId.data)).fetch(context.req.raw);
}
