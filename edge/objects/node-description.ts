import type { AccountId, ModelHash, NodeId } from "../../core/ids.ts";
import type { ModelName } from "../../core/model/model-card.ts";
import type { Flaps } from "../../core/node/flaps.ts";
import type { Standing } from "../../core/node-pool/standing.ts";
import type { TrustStanding } from "../../core/reputation/trust-standing.ts";
import type { Credits } from "./credits.ts";
import type { OpenSocket } from "./node-socket.ts";
import type { StoredNode } from "./stored-node.ts";

/** A node as its own object knows it; times are milliseconds since the epoch. */
export interface NodeDescription {
  nodeId: NodeId;
  operator: AccountId;
  /** `away`: the socket broke a moment ago and the node may be back. */
  state: "suspended" | "serving" | "draining" | "away" | "offline";
  registeredAtMs: number;
  /** Sockets that this node has opened. */
  epoch: number;
  /** When it last gave a sign; null without a socket. */
  lastSignAtMs: number | null;
  /** Why its last socket ended; null where that is not known. */
  lastLoss: { atMs: number; reason: string } | null;
  flaps: Flaps;
  trust: TrustStanding;
  /** Leases that are open. */
  running: number;
  models: { name: ModelName; fileSha256: ModelHash; slots: number; free: number; standing: Standing }[];
}

/** What an operator is told of a node. */
export async function describeNode(
  node: StoredNode,
  {
    trust,
    open,
    credits,
    running,
    lastLoss,
    isAway,
    standingOf,
  }: {
    trust: TrustStanding;
    open: OpenSocket | undefined;
    credits: Credits | undefined;
    running: number;
    lastLoss: NodeDescription["lastLoss"];
    isAway: boolean;
    standingOf: (model: ModelHash) => Promise<Standing>;
  },
): Promise<NodeDescription> {
  return {
    nodeId: node.nodeId,
    operator: node.accountId,
    state: trust.isSuspended
      ? "suspended"
      : open === undefined
        ? isAway
          ? "away"
          : "offline"
        : open.state.isDraining
          ? "draining"
          : "serving",
    registeredAtMs: node.registeredAtMs,
    epoch: node.epoch,
    lastSignAtMs: open?.signAtMs() ?? null,
    lastLoss,
    flaps: node.flaps,
    trust,
    running,
    models: await Promise.all(
      node.models.map(async ({ name, fileSha256, slots }) => ({
        name,
        fileSha256,
        slots,
        free: credits?.free(fileSha256) ?? 0,
        standing: await standingOf(fileSha256),
      })),
    ),
  };
}
