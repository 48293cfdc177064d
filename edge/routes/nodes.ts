import type { Context } from "hono";
import { nodeIdSchema } from "../../core/ids.ts";
import { standingText } from "../../core/node-pool/standing-text.ts";
import { Refusal } from "../../core/refusal.ts";
import type { AppEnv } from "../app-env.ts";
import { authenticate, isAdmin } from "../authenticate.ts";
import type { NodeDescription } from "../objects/node-description.ts";

/**
 * `GET /v1/nodes/{id}`: a node as the network sees it, and for each of its models why it gets work or none. For the
 * keys of its operator and the admin; to anybody else it does not exist.
 */
export async function getNode(context: Context<AppEnv>): Promise<Response> {
  const { env, req } = context;
  const principal = (await isAdmin(req.raw, env)) ? undefined : await authenticate(req.raw, env);
  const nodeId = nodeIdSchema.safeParse(req.param("id")).data;
  const node = nodeId && (await env.NODE.get(env.NODE.idFromName(nodeId)).describe());
  if (node === undefined || (principal !== undefined && node.operator !== principal.accountId)) {
    throw new Refusal({
      code: "not_found",
      message: "There is no such node of yours. Take the id from: cortensor-node status",
    });
  }
  return context.json({
    object: "node",
    id: node.nodeId,
    operator: node.operator,
    state: node.state,
    registered_at: seconds(node.registeredAtMs),
    last_sign_at: node.lastSignAtMs === null ? null : seconds(node.lastSignAtMs),
    last_loss: node.lastLoss && { at: seconds(node.lastLoss.atMs), reason: node.lastLoss.reason },
    put_aside_until: node.flaps.asideUntilMs > Date.now() ? seconds(node.flaps.asideUntilMs) : null,
    running: node.running,
    models: node.models.map(modelOf),
  });
}

function modelOf({ name, fileSha256, slots, free, standing }: NodeDescription["models"][number]): object {
  const { counts, ...rest } = standing;
  return {
    id: name,
    file_sha256: fileSha256,
    slots,
    free_slots: free,
    standing: {
      kind: rest.kind,
      text: standingText(standing),
      nodes: counts.members,
      free_slots: counts.freeSlots,
      waiting: counts.waiting,
      tasks_last_minute: counts.leasesToAll,
      tasks_last_minute_here: counts.leasesToNode,
    },
  };
}

function seconds(timeMs: number): number {
  return Math.floor(timeMs / 1_000);
}
