import type { Context } from "hono";
import { type NodeId, nodeIdSchema } from "../../core/ids.ts";
import { standingText } from "../../core/node-pool/standing-text.ts";
import { Refusal } from "../../core/refusal.ts";
import type { TrustStanding } from "../../core/reputation/trust-standing.ts";
import type { AppEnv } from "../app-env.ts";
import { authenticate, isAdmin } from "../authenticate.ts";
import type { NodeDescription } from "../objects/node-description.ts";

/**
 * `GET /v1/nodes/{id}`: a node as the network sees it, and for each of its models why it gets work or none. For the
 * keys of its operator and the admin; to anybody else it does not exist.
 */
export async function getNode(context: Context<AppEnv>): Promise<Response> {
  const node = await ownNode(context);
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
    trust: trustOf(node.trust),
    models: node.models.map(modelOf),
  });
}

/** The id of a node that the caller's key may read about; refuses all others alike (`not_found`). */
export async function ownNodeId(context: Context<AppEnv>): Promise<NodeId> {
  return (await ownNode(context)).nodeId;
}

async function ownNode({ env, req }: Context<AppEnv>): Promise<NodeDescription> {
  const principal = (await isAdmin(req.raw, env)) ? undefined : await authenticate(req.raw, env);
  const nodeId = nodeIdSchema.safeParse(req.param("id")).data;
  const node = nodeId && (await env.NODE.get(env.NODE.idFromName(nodeId)).describe());
  if (node !== undefined && (principal === undefined || node.operator === principal.accountId)) return node;
  throw new Refusal({
    code: "not_found",
    message: "There is no such node of yours. Take the id from: cortensor-node status",
  });
}

/** The share of answers that is checked is told as a band: who knew it well could choose when to cheat. */
function trustOf({ score, uncertainty, auditShare, isSuspended, mayValidate, reason }: TrustStanding): object {
  const checks = auditShare >= 1 ? "all" : auditShare > 0.25 ? "many" : auditShare > 0.05 ? "some" : "few";
  const [rounded, spread] = [score, uncertainty].map((value) => Math.round(value * 1_000) / 1_000);
  return { score: rounded, uncertainty: spread, checks, suspended: isSuspended, validates: mayValidate, reason };
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
