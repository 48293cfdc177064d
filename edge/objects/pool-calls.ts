import type { AccountId, AttemptId, NodeId } from "../../core/ids.ts";
import type { ModelCard } from "../../core/model/model-card.ts";
import type { Ability } from "../../core/node-pool/ability.ts";
import type { Standing } from "../../core/node-pool/standing.ts";

export type ClaimResult =
  | { kind: "lease"; nodeId: NodeId }
  | { kind: "refuse"; code: "no_live_node" | "no_free_node" | "queue_full" | "no_validator" };

/** What a task asks of its pool; `core/node-pool/ticket.ts` says what each wish means. What is left out is no wish. */
export interface ClaimRequest {
  attemptId: AttemptId;
  accountId?: AccountId;
  weight?: number;
  priority?: number;
  exclude: readonly NodeId[];
  excludeOperators?: readonly AccountId[];
  needs?: Ability;
  /** Its answer is to be checked by another operator's node: refused at once where there is none. */
  isToBeChecked?: boolean;
  avoid?: readonly NodeId[];
  affinity?: string | null;
  isPatient?: boolean;
  /** Longest wait for a place. */
  waitMs: number;
}

/** A node's word on its room, with the model as it advertises it. */
export interface Offer {
  nodeId: NodeId;
  /** Whose it is and what it is good for; one that says neither is nobody's and counts for the least. */
  operator?: AccountId;
  ability?: Ability;
  card: ModelCard;
  free: number;
  /** Claims that have reached the node since its last offer. */
  taken: readonly AttemptId[];
  /** Mean of its recent answers' first tokens; null while there is none. */
  firstTokenMs?: number | null;
  /** Put aside until then, milliseconds since the epoch; 0 where it is not. */
  asideUntilMs?: number;
  /** It was sent here by another shard, and is not sent on once more. */
  isSentOn?: boolean;
}

/** What a node's object is told: how many shards the model has, whether it is a member of this one, and its standing. */
export interface OfferAnswer {
  shards: number;
  isMember: boolean;
  standing: Standing;
}
