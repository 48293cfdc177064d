import type { NodeId } from "../ids.ts";
import { type Member, roomIn } from "./members.ts";
import { countOfLastMinute } from "./minute-count.ts";
import type { NodePool } from "./node-pool.ts";

/** The pool in numbers, as a miner wants to know them. Leases are those of the last minute. */
export interface StandingCounts {
  members: number;
  freeSlots: number;
  waiting: number;
  leasesToAll: number;
  leasesToNode: number;
}

/** Why a node gets work, or none. */
export type Standing = { counts: StandingCounts } /** It had work within the last minute, and has room for more. */ & (
  | { kind: "serving" }
  /** It has no room: it works on what it has, or grants no credit. */
  | { kind: "busy" }
  /** It has room, and nobody asked for this model. */
  | { kind: "idle_no_demand" }
  /** It has room, and what was asked for went to nodes that were expected to answer sooner. */
  | { kind: "idle_others_sooner" }
  /** Its socket broke too often: it gets work only where nobody else is left. Milliseconds since the epoch. */
  | { kind: "aside"; untilMs: number }
  /** Nothing was heard of it for so long that it gets nothing. */
  | { kind: "silent" }
  /** It says of this file what the catalogue or the nodes before it do not. */
  | { kind: "card_disagrees" }
  | { kind: "not_member" }
);

/** A node's standing in its pool at `nowMs`. `card_disagrees` is for the pool's owner to say, who reads the cards. */
export function standingOf(pool: NodePool, nodeId: NodeId, nowMs: number): Standing {
  const member = pool.members.byId.get(nodeId);
  const counts = countsOf(pool, member, nowMs);
  if (member === undefined) return { kind: "not_member", counts };
  if (member.heardAtMs + pool.limits.silentMs <= nowMs) return { kind: "silent", counts };
  if (member.asideUntilMs > nowMs) return { kind: "aside", untilMs: member.asideUntilMs, counts };
  if (roomIn(member) === 0) return { kind: "busy", counts };
  if (counts.leasesToNode > 0) return { kind: "serving", counts };
  return { kind: counts.leasesToAll > 0 ? "idle_others_sooner" : "idle_no_demand", counts };
}

/** The numbers alone; of a node that is no member, no leases. Constant time. */
export function countsOf(pool: NodePool, member: Member | undefined, nowMs: number): StandingCounts {
  return {
    members: pool.members.byId.size,
    freeSlots: pool.members.room,
    waiting: pool.queue.byAttempt.size,
    leasesToAll: countOfLastMinute(pool.given, nowMs),
    leasesToNode: member === undefined ? 0 : countOfLastMinute(member.given, nowMs),
  };
}
