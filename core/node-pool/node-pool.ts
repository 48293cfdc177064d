import type { AttemptId, NodeId } from "../ids.ts";

/** A node as its pool knows it. Credits are soft: the node's own object has the last word. */
export interface PoolMember {
  nodeId: NodeId;
  /** Tasks of this model that the node runs at once. */
  slots: number;
  /** Tasks it would take now, as it last said. */
  free: number;
  /** When its object last spoke. */
  heardAtMs: number;
}

/** A request that waits for room. It names no prompt and no account: only who it is and whom it does not want. */
export interface Ticket {
  attemptId: AttemptId;
  exclude: ReadonlySet<NodeId>;
  expiresAtMs: number;
}

/**
 * The nodes that hold one model file, and who waits for them. Kept by one object and changed in place, since it may
 * hold thousands of members; every function here is a function of it and its arguments alone.
 */
export interface NodePool {
  members: Map<NodeId, PoolMember>;
  /** Leases given that the node's object has not confirmed yet: they count against the member's free credits. */
  claims: Map<AttemptId, { nodeId: NodeId; expiresAtMs: number }>;
  /** First come, first served, in the map's order. */
  tickets: Map<AttemptId, Ticket>;
  limits: PoolLimits;
}

export interface PoolLimits {
  tickets: number;
  /** A claim whose taker never reached the node (its Worker died) is void after this. */
  claimMs: number;
  /** A member whose object has been silent for this long is dropped. */
  silentMs: number;
}

export type Placement =
  | { kind: "lease"; nodeId: NodeId }
  | { kind: "wait" }
  | { kind: "refuse"; code: "no_live_node" | "queue_full" };

/** What became of a waiting ticket. */
export type Settled = { attemptId: AttemptId } & (
  | { kind: "lease"; nodeId: NodeId }
  | { kind: "refuse"; code: "no_live_node" | "no_free_node" }
);

/** A pool with nobody in it. */
export function emptyPool(limits: PoolLimits): NodePool {
  return { members: new Map(), claims: new Map(), tickets: new Map(), limits };
}

/**
 * A node's own word on its room: it joins with the first and corrects with each further one. `taken` names the claims
 * that reached it, which `free` already accounts for. Returns the tickets that got a place by it.
 */
export function offer(
  pool: NodePool,
  { taken, ...member }: Omit<PoolMember, "heardAtMs"> & { taken: readonly AttemptId[] },
  nowMs: number,
  random: () => number,
): Settled[] {
  for (const attemptId of taken) pool.claims.delete(attemptId);
  pool.members.set(member.nodeId, { ...member, heardAtMs: nowMs });
  return settle(pool, nowMs, random);
}

/** Takes a node out. Returns the tickets that nobody is left to serve. */
export function leave(pool: NodePool, nodeId: NodeId, nowMs: number, random: () => number): Settled[] {
  pool.members.delete(nodeId);
  for (const [attemptId, claim] of pool.claims) if (claim.nodeId === nodeId) pool.claims.delete(attemptId);
  return settle(pool, nowMs, random);
}

/**
 * Asks for a node. `lease` names one that has room; `wait` has queued a ticket that `offer`, `leave` or `expire` will
 * settle; `refuse` says at once that no live node could ever serve it, or that the queue is at its bound.
 */
export function claim(pool: NodePool, ticket: Ticket, nowMs: number, random: () => number): Placement {
  forget(pool, nowMs);
  if (!hasCandidate(pool, ticket)) return { kind: "refuse", code: "no_live_node" };
  // Whoever waits is first: a newcomer takes a free node only when no ticket could use it.
  const room = roomOf(pool).filter(({ nodeId }) => !isWaitedFor(pool, nodeId));
  const nodeId = place(pool, room, ticket, nowMs, random);
  if (nodeId !== undefined) return { kind: "lease", nodeId };
  if (pool.tickets.size >= pool.limits.tickets) return { kind: "refuse", code: "queue_full" };
  pool.tickets.set(ticket.attemptId, ticket);
  return { kind: "wait" };
}

/** Gives a ticket or an unused claim back. */
export function withdraw(pool: NodePool, attemptId: AttemptId, nowMs: number, random: () => number): Settled[] {
  pool.tickets.delete(attemptId);
  pool.claims.delete(attemptId);
  return settle(pool, nowMs, random);
}

/** Settles what time has settled: tickets past their wait, members long silent, claims never used. */
export function expire(pool: NodePool, nowMs: number, random: () => number): Settled[] {
  return settle(pool, nowMs, random);
}

/**
 * When `expire` next has something to settle, milliseconds since the epoch: a ticket past its wait, or an unused claim
 * whose room a ticket waits for. `undefined` while nobody waits.
 */
export function nextExpiryMs(pool: NodePool): number | undefined {
  if (pool.tickets.size === 0) return undefined;
  let earliestMs = Number.POSITIVE_INFINITY;
  for (const { expiresAtMs } of pool.tickets.values()) earliestMs = Math.min(earliestMs, expiresAtMs);
  for (const { expiresAtMs } of pool.claims.values()) earliestMs = Math.min(earliestMs, expiresAtMs);
  return earliestMs;
}

/** Tasks that each member with any room would take now: its free credits less the claims on their way to it. */
export function roomOf(pool: NodePool): Room[] {
  const claimed = new Map<NodeId, number>();
  for (const { nodeId } of pool.claims.values()) claimed.set(nodeId, (claimed.get(nodeId) ?? 0) + 1);
  const room: Room[] = [];
  for (const { nodeId, slots, free } of pool.members.values()) {
    const left = free - (claimed.get(nodeId) ?? 0);
    if (left > 0) room.push({ nodeId, slots, free: left });
  }
  return room;
}

export interface Room {
  nodeId: NodeId;
  slots: number;
  free: number;
}

function settle(pool: NodePool, nowMs: number, random: () => number): Settled[] {
  forget(pool, nowMs);
  const settled: Settled[] = [];
  const room = roomOf(pool);
  for (const ticket of pool.tickets.values()) {
    const outcome = settleOne(pool, room, ticket, nowMs, random);
    if (outcome === undefined) continue;
    pool.tickets.delete(ticket.attemptId);
    settled.push(outcome);
  }
  return settled;
}

function settleOne(
  pool: NodePool,
  room: Room[],
  ticket: Ticket,
  nowMs: number,
  random: () => number,
): Settled | undefined {
  const { attemptId } = ticket;
  if (ticket.expiresAtMs <= nowMs) return { attemptId, kind: "refuse", code: "no_free_node" };
  if (!hasCandidate(pool, ticket)) return { attemptId, kind: "refuse", code: "no_live_node" };
  const nodeId = place(pool, room, ticket, nowMs, random);
  return nodeId === undefined ? undefined : { attemptId, kind: "lease", nodeId };
}

/** True where a ticket could use the node. A free node is rarely waited for: the first ticket asked says so. */
function isWaitedFor(pool: NodePool, nodeId: NodeId): boolean {
  for (const ticket of pool.tickets.values()) if (!ticket.exclude.has(nodeId)) return true;
  return false;
}

function hasCandidate(pool: NodePool, ticket: Ticket): boolean {
  if (pool.members.size > ticket.exclude.size) return true;
  for (const nodeId of pool.members.keys()) if (!ticket.exclude.has(nodeId)) return true;
  return false;
}

/** The less busy of two nodes drawn at random: close to the best choice, without herding (Mitzenmacher 2001). */
function place(pool: NodePool, room: Room[], ticket: Ticket, nowMs: number, random: () => number): NodeId | undefined {
  if (room.length === 0) return undefined;
  const wanted = ticket.exclude.size === 0 ? room : room.filter(({ nodeId }) => !ticket.exclude.has(nodeId));
  const draw = () => wanted[Math.floor(random() * wanted.length)];
  const [first, second] = [draw(), draw()];
  if (first === undefined || second === undefined) return undefined;
  const chosen = second.free / second.slots > first.free / first.slots ? second : first;
  pool.claims.set(ticket.attemptId, { nodeId: chosen.nodeId, expiresAtMs: nowMs + pool.limits.claimMs });
  chosen.free -= 1;
  if (chosen.free === 0) room.splice(room.indexOf(chosen), 1);
  return chosen.nodeId;
}

function forget(pool: NodePool, nowMs: number): void {
  for (const [attemptId, held] of pool.claims) if (held.expiresAtMs <= nowMs) pool.claims.delete(attemptId);
  for (const member of pool.members.values()) {
    if (member.heardAtMs + pool.limits.silentMs <= nowMs) pool.members.delete(member.nodeId);
  }
}
