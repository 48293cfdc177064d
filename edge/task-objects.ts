import type { AccountId, AttemptId, NodeId } from "../core/ids.ts";
import { poolName } from "../core/node-pool/pool-name.ts";
import { shardOf } from "../core/node-pool/shards.ts";
import type { TaskRecord } from "../core/record/entry.ts";
import type { Env } from "./env.ts";
import { objectStub } from "./object-stub.ts";
import type { ClaimRequest, ClaimResult } from "./objects/pool-calls.ts";
import type { AttachRequest, AttachResult, RunRequest, RunResult } from "./objects/run.ts";
import type { ServedModel } from "./objects/status-object.ts";

/** What a task asks of the pool that has its nodes. */
export interface PoolCalls {
  claim(request: ClaimRequest): Promise<ClaimResult>;
  withdraw(attemptId: AttemptId): Promise<void>;
}

/** What a task asks of a node's object. */
export interface NodeCalls {
  run(request: RunRequest): Promise<RunResult>;
  attach(request: AttachRequest): Promise<AttachResult>;
  cancel(attemptId: AttemptId): Promise<boolean>;
}

/** The objects that a task meets. Each call names the object anew, since one that was reset answers no old stub. */
export interface TaskObjects {
  pool(): PoolCalls;
  node(nodeId: NodeId): NodeCalls;
  account(accountId: AccountId): { recordTask(task: TaskRecord): Promise<void> };
}

/**
 * The deployment's own objects, for a task of this model. The turns of one conversation (`affinity`) meet the same
 * shard of its pool, which remembers the node that had the last; other tasks meet any.
 */
export function taskObjects(
  env: Env,
  { model, affinity }: { model: ServedModel; affinity: string | null },
): TaskObjects {
  const { card, shards } = model;
  const shard = affinity === null ? Math.floor(Math.random() * shards) : shardOf(affinity, shards);
  const name = poolName(card.fileSha256, shard);
  return {
    pool: () => objectStub(env.POOL, name),
    node: (nodeId) => objectStub(env.NODE, nodeId),
    account: (accountId) => objectStub(env.ACCOUNT, accountId),
  };
}
