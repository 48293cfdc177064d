import { z } from "zod";
import { type AccountId, accountIdSchema, type NodeId, nodeIdSchema } from "../../core/ids.ts";
import { type ModelCard, modelCardSchema } from "../../core/model/model-card.ts";
import { type Flaps, isAside, noteLoss } from "../../core/node/flaps.ts";
import { isMigrated } from "./migrate.ts";

/** A node as its object keeps it. */
export interface StoredNode {
  nodeId: NodeId;
  /** The operator. */
  accountId: AccountId;
  publicKey: string;
  /** Counts the node's sockets. */
  epoch: number;
  registeredAtMs: number;
  models: ModelCard[];
  /** Names the process that had the last socket; empty before the first. */
  resumeToken: string;
  flaps: Flaps;
}

type Row = {
  id: string;
  account_id: string;
  public_key: string;
  epoch: number;
  registered_at_ms: number;
  models: string;
  resume_token: string;
  flaps: string;
};

const flapsSchema = z.object({
  lossesMs: z.array(z.number()),
  asideUntilMs: z.number(),
  timesAside: z.int(),
});

/** The node of this object, or `undefined` where none ever joined; reads without leaving tables behind. */
export function readNode(storage: DurableObjectStorage): StoredNode | undefined {
  if (!isMigrated(storage)) return undefined;
  const row = storage.sql.exec<Row>("SELECT * FROM node").toArray()[0];
  if (row === undefined) return undefined;
  return {
    nodeId: nodeIdSchema.parse(row.id),
    accountId: accountIdSchema.parse(row.account_id),
    publicKey: row.public_key,
    epoch: row.epoch,
    registeredAtMs: row.registered_at_ms,
    models: z.array(modelCardSchema).parse(JSON.parse(row.models)),
    resumeToken: row.resume_token,
    flaps: flapsSchema.parse(JSON.parse(row.flaps)),
  };
}

/** Keeps the node; the object must be migrated. */
export function writeNode(storage: DurableObjectStorage, node: StoredNode): void {
  storage.sql.exec(
    `INSERT OR REPLACE INTO node (id, account_id, public_key, epoch, registered_at_ms, models, resume_token, flaps)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    ...[node.nodeId, node.accountId, node.publicKey, node.epoch, node.registeredAtMs, JSON.stringify(node.models)],
    ...[node.resumeToken, JSON.stringify(node.flaps)],
  );
}

/** The node with one more socket lost unannounced, and keeps what its lost sockets have earned it. */
export function withLoss(storage: DurableObjectStorage, node: StoredNode, nowMs: number): StoredNode {
  const flaps = noteLoss(node.flaps, nowMs);
  if (isAside(flaps, nowMs)) console.warn("node: put aside, its socket breaks too often", { nodeId: node.nodeId });
  storage.sql.exec("UPDATE node SET flaps = ?", JSON.stringify(flaps));
  return { ...node, flaps };
}
