import type { AttemptId, NodeId } from "../ids.ts";
import { type Affinity, emptyAffinity, rememberConversation } from "./affinity.ts";
import { type Chain, type Chained, chainAppend, chainRemove, emptyChain } from "./chain.ts";
import { heapTop } from "./heap.ts";
import {
  changeClaimed,
  dropMember,
  dropSilent,
  emptyMembers,
  endAside,
  type Member,
  type Members,
  ordinaryCount,
  type PoolMember,
  putMember,
  roomIn,
} from "./members.ts";
import { countOne, emptyMinuteCount, type MinuteCount } from "./minute-count.ts";
import { chooseMember, isServable, mayHave } from "./placement.ts";
import { priorityOf, type Ticket } from "./ticket.ts";
import {
  dequeue,
  emptyTicketQueue,
  enqueue,
  firstThatFits,
  firstTickets,
  nextToExpire,
  type TicketQueue,
} from "./ticket-queue.ts";

/**
 * The nodes that hold one model file, and who waits for them. Kept by one object and changed in place, since it may
 * hold thousands of members; every function here is a function of it and its arguments alone.
 *
 * Nothing on a request's path searches members, claims or tickets: what a step costs depends on the nodes that its
 * tickets name, and on the logarithm of the rest.
 */
export interface NodePool {
  readonly limits: PoolLimits;
  readonly members: Members;
  /** Leases given that the node's object has not confirmed yet: they count against the member's free credits. */
  readonly claims: Map<AttemptId, Claim>;
  /** The same in the order in which they expire. */
  readonly claimOrder: Chain<Claim>;
  readonly queue: TicketQueue;
  readonly affinity: Affinity;
  /** Leases given to all members. */
  readonly given: MinuteCount;
  /** Members have left or were put aside since the queue was last settled: last resorts may be due, or ends. */
  isShrunk: boolean;
}

/** A lease that was given and not confirmed. */
export interface Claim extends Chained<Claim> {
  attemptId: AttemptId;
  member: Member;
  expiresAtMs: number;
}

export interface PoolLimits {
  /** Tickets that may wait at once. */
  tickets: number;
  /** A claim whose taker never reached the node (its Worker died) is void after this. */
  claimMs: number;
  /** A member whose object has been silent for this long is dropped. */
  silentMs: number;
}

export type Placement =
  | { kind: "lease"; nodeId: NodeId }
  /** `displaced` has lost its place in a full queue to this ticket: its answer is `queue_full`. */
  | { kind: "wait"; displaced?: AttemptId }
  | { kind: "refuse"; code: "no_live_node" | "queue_full" };

/** What became of a waiting ticket. */
export type Settled = { attemptId: AttemptId } & (
  | { kind: "lease"; nodeId: NodeId }
  | { kind: "refuse"; code: "no_live_node" | "no_free_node" }
);

/** A node's own word on itself; `taken` names the claims that reached it, which `free` already accounts for. */
export type Word = Omit<PoolMember, "heardAtMs" | "isGuess"> & { taken: readonly AttemptId[] };

/** A pool with nobody in it. */
export function emptyPool(limits: PoolLimits): NodePool {
  return {
    limits,
    members: emptyMembers(),
    claims: new Map(),
    claimOrder: emptyChain(),
    queue: emptyTicketQueue(),
    affinity: emptyAffinity(),
    given: emptyMinuteCount(),
    isShrunk: false,
  };
}

/**
 * A member that a pool which was reset knows from storage. Its room is a guess: all slots, since a node's object
 * refuses what is too much. To be called before anything else, in ascending order of `heardAtMs`.
 */
export function recall(pool: NodePool, member: Omit<PoolMember, "free" | "asideUntilMs" | "isGuess">): void {
  putMember(pool.members, { ...member, free: member.slots, asideUntilMs: 0, isGuess: true });
}

/**
 * A node's own word on its room: it joins with the first and corrects with each further one. Returns the tickets that
 * were settled by it, in the order in which they were.
 */
export function offer(pool: NodePool, { taken, ...word }: Word, nowMs: number, random: () => number): Settled[] {
  const freed = passTime(pool, nowMs);
  for (const attemptId of taken) endClaim(pool, attemptId);
  const wasOrdinary = pool.members.byId.get(word.nodeId)?.isAside === false;
  const member = putMember(pool.members, { ...word, heardAtMs: nowMs, isGuess: false });
  if (wasOrdinary && member.isAside) pool.isShrunk = true;
  return settle(pool, [...freed, member], nowMs, random);
}

/** Takes a node out. Returns the tickets settled by it: nobody is left for them, or only a last resort. */
export function leave(pool: NodePool, nodeId: NodeId, nowMs: number, random: () => number): Settled[] {
  const freed = passTime(pool, nowMs);
  const member = pool.members.byId.get(nodeId);
  if (member !== undefined) {
    dropMember(pool.members, member);
    pool.isShrunk = true;
  }
  return settle(pool, freed, nowMs, random);
}

/**
 * Asks for a node. `lease` names one that has room ({@link chooseMember} says which); `wait` has queued a ticket that
 * `offer`, `leave`, `withdraw` or `expire` will settle; `refuse` says at once that no live node could ever serve it, or
 * that the queue is at a bound of its. An attempt that asks again is told the same again.
 *
 * Whoever waits is first: a newcomer gets only what no ticket could use, and what comes free by time while tickets wait
 * is for `expire` to give out. (A choosy ticket behind many others is the exception: `lookAheadTickets`.)
 */
export function claim(pool: NodePool, ticket: Ticket, nowMs: number, random: () => number): Placement {
  if (pool.queue.byAttempt.has(ticket.attemptId)) return { kind: "wait" };
  const leased = claimAtOnce(pool, ticket, { nowMs, random, isLastResort: true });
  if (leased !== undefined) return { kind: "lease", nodeId: leased };
  if (!ticket.isPatient && !isServable(pool.members, ticket)) return { kind: "refuse", code: "no_live_node" };
  const queued = enqueue(pool.queue, ticket, pool.limits.tickets);
  if (queued.kind === "full") return { kind: "refuse", code: "queue_full" };
  return queued.displaced === undefined ? { kind: "wait" } : { kind: "wait", displaced: queued.displaced.attemptId };
}

/**
 * As {@link claim}, but never queues: for a sibling shard that asks for its tickets. With `isLastResort` false, members
 * put aside or avoided are not given, since the sibling has better ones that are busy. `no_free_node` means that some
 * live node could serve it later.
 */
export function claimNow(
  pool: NodePool,
  ticket: Ticket,
  nowMs: number,
  random: () => number,
  { isLastResort = true }: { isLastResort?: boolean } = {},
): { kind: "lease"; nodeId: NodeId } | { kind: "refuse"; code: "no_live_node" | "no_free_node" } {
  const leased = claimAtOnce(pool, ticket, { nowMs, random, isLastResort });
  if (leased !== undefined) return { kind: "lease", nodeId: leased };
  return { kind: "refuse", code: isServable(pool.members, ticket) ? "no_free_node" : "no_live_node" };
}

/** Gives a ticket or an unused claim back. Returns the tickets that were settled by it. */
export function withdraw(pool: NodePool, attemptId: AttemptId, nowMs: number, random: () => number): Settled[] {
  const freed = passTime(pool, nowMs);
  takeOut(pool, attemptId, { isServed: false });
  const member = endClaim(pool, attemptId);
  return settle(pool, member === undefined ? freed : [...freed, member], nowMs, random);
}

/** A ticket that waits has got its place from a sibling shard. False where it does not wait any more. */
export function placedElsewhere(pool: NodePool, attemptId: AttemptId): boolean {
  return takeOut(pool, attemptId, { isServed: true }) !== undefined;
}

/** Settles what time has settled: tickets past their wait, members long silent, claims never used. */
export function expire(pool: NodePool, nowMs: number, random: () => number): Settled[] {
  return settle(pool, passTime(pool, nowMs), nowMs, random);
}

/**
 * When `expire` next has something to settle, milliseconds since the epoch: a ticket past its wait, an unused claim, a
 * silent member or one put aside whose time is over. In the past where it has something already; `undefined` while
 * nobody waits.
 */
export function nextExpiryMs({ queue, members, claimOrder, limits, isShrunk }: NodePool): number | undefined {
  const ticket = nextToExpire(queue);
  if (ticket === undefined) return undefined;
  if (isShrunk) return 0;
  const silent = members.heard.first;
  return Math.min(
    ticket.expiresAtMs,
    claimOrder.first?.expiresAtMs ?? Number.POSITIVE_INFINITY,
    silent === undefined ? Number.POSITIVE_INFINITY : silent.heardAtMs + limits.silentMs,
    heapTop(members.asideEnds)?.asideUntilMs ?? Number.POSITIVE_INFINITY,
  );
}

/** Tasks that each member with any room would take now; those put aside come last. Walks through all of them. */
export function roomOf({ members }: NodePool): Room[] {
  const { ordinary, aside } = members.withRoom;
  return [...ordinary, ...aside].map((member) => ({
    nodeId: member.nodeId,
    slots: member.slots,
    free: roomIn(member),
  }));
}

export interface Room {
  nodeId: NodeId;
  slots: number;
  free: number;
}

/** The first `count` tickets that wait, in the order in which they are served, whatever nodes they may have. */
export function firstWaiting(pool: NodePool, count: number): Ticket[] {
  return firstTickets(pool.queue, count);
}

function claimAtOnce(
  pool: NodePool,
  ticket: Ticket,
  { nowMs, random, isLastResort }: { nowMs: number; random: () => number; isLastResort: boolean },
): NodeId | undefined {
  const held = pool.claims.get(ticket.attemptId);
  if (held?.member.isHere === true && !ticket.exclude.has(held.member.nodeId)) return held.member.nodeId;
  endClaim(pool, ticket.attemptId);
  if (pool.queue.byAttempt.size === 0) passTime(pool, nowMs);
  else dropLongSilent(pool, nowMs);
  if (pool.isShrunk && pool.queue.byAttempt.size > 0) return undefined;
  const member = chooseMember(pool.members, ticket, pool.affinity, { random, isLastResort });
  if (member === undefined) return undefined;
  give(pool, ticket, member, nowMs);
  return member.nodeId;
}

/** Drops who is silent, voids what was not used, takes back who was put aside; returns the members that have room by it. */
function passTime(pool: NodePool, nowMs: number): Member[] {
  dropLongSilent(pool, nowMs);
  const freed = endAside(pool.members, nowMs);
  for (let first = pool.claimOrder.first; first !== undefined && first.expiresAtMs <= nowMs; ) {
    freed.push(first.member);
    endClaim(pool, first.attemptId);
    first = pool.claimOrder.first;
  }
  return freed;
}

function dropLongSilent(pool: NodePool, nowMs: number): void {
  if (dropSilent(pool.members, nowMs - pool.limits.silentMs) > 0) pool.isShrunk = true;
}

/** Settles what can be: tickets past their wait, then places for the members that have room anew, then last resorts. */
function settle(pool: NodePool, freed: readonly Member[], nowMs: number, random: () => number): Settled[] {
  const settled: Settled[] = [];
  for (;;) {
    const ticket = nextToExpire(pool.queue);
    if (ticket === undefined || ticket.expiresAtMs > nowMs) break;
    const code = isServable(pool.members, ticket) ? "no_free_node" : "no_live_node";
    takeOut(pool, ticket.attemptId, { isServed: false });
    settled.push({ attemptId: ticket.attemptId, kind: "refuse", code });
  }
  for (const member of freed) fill(pool, member, nowMs, settled);
  if (pool.isShrunk) settleShrunk(pool, { nowMs, random, settled });
  return settled;
}

/** Gives a member's room to who waits, in fair order. */
function fill(pool: NodePool, member: Member, nowMs: number, settled: Settled[]): void {
  while (member.isHere && roomIn(member) > 0 && pool.queue.byAttempt.size > 0) {
    const plainFits = !member.isAside || ordinaryCount(pool.members) === 0;
    const ticket = firstThatFits(pool.queue, (each) => mayHave(pool.members, each, member), { plainFits });
    if (ticket === undefined) return;
    takeOut(pool, ticket.attemptId, { isServed: true });
    give(pool, ticket, member, nowMs);
    settled.push({ attemptId: ticket.attemptId, kind: "lease", nodeId: member.nodeId });
  }
}

/** Gives the room of those put aside to who waits. Where one gets nothing, nobody waits who takes any node. */
function fillAside(pool: NodePool, nowMs: number, settled: Settled[]): void {
  const { aside } = pool.members.withRoom;
  // From the end: one that gets full leaves its place to the last, which had its turn.
  for (let place = aside.length - 1; place >= 0; place -= 1) {
    const member = aside[place];
    const before = settled.length;
    if (member !== undefined) fill(pool, member, nowMs, settled);
    if (settled.length === before) return;
  }
}

/**
 * Members are fewer than they were. A ticket may now have one put aside, or one that it avoids, or nobody. It can only
 * be one that names all the ordinary ones, so in a pool with more of them than a ticket names nothing is searched. It
 * goes by priority, then first come, first served.
 */
function settleShrunk(
  pool: NodePool,
  { nowMs, random, settled }: { nowMs: number; random: () => number; settled: Settled[] },
): void {
  pool.isShrunk = false;
  const { queue, members } = pool;
  const ordinary = ordinaryCount(members);
  if (queue.byAttempt.size === 0 || ordinary > queue.mostNamed) return;
  if (ordinary === 0) fillAside(pool, nowMs, settled);
  const concerned = members.byId.size === 0 ? queue.byAttempt.values() : queue.choosy.values();
  const byPriority = [...concerned].sort((one, other) => priorityOf(other.ticket) - priorityOf(one.ticket));
  for (const { ticket } of byPriority) {
    const { attemptId } = ticket;
    const member = chooseMember(members, ticket, pool.affinity, { random, isLastResort: true });
    if (member !== undefined) {
      takeOut(pool, attemptId, { isServed: true });
      give(pool, ticket, member, nowMs);
      settled.push({ attemptId, kind: "lease", nodeId: member.nodeId });
    } else if (!ticket.isPatient && !isServable(members, ticket)) {
      takeOut(pool, attemptId, { isServed: false });
      settled.push({ attemptId, kind: "refuse", code: "no_live_node" });
    }
  }
}

function takeOut(pool: NodePool, attemptId: AttemptId, { isServed }: { isServed: boolean }): Ticket | undefined {
  return dequeue(pool.queue, attemptId, { isServed, bound: pool.limits.tickets });
}

function give(pool: NodePool, { attemptId, affinity }: Ticket, member: Member, nowMs: number): void {
  const expiresAtMs = nowMs + pool.limits.claimMs;
  const given: Claim = { attemptId, member, expiresAtMs, previous: undefined, next: undefined };
  pool.claims.set(attemptId, given);
  chainAppend(pool.claimOrder, given);
  changeClaimed(pool.members, member, 1);
  if (affinity !== null) rememberConversation(pool.affinity, affinity, member.nodeId);
  countOne(pool.given, nowMs);
  countOne(member.given, nowMs);
}

/** Ends a claim, used or not; returns the member it was on. */
function endClaim(pool: NodePool, attemptId: AttemptId): Member | undefined {
  const held = pool.claims.get(attemptId);
  if (held === undefined) return undefined;
  pool.claims.delete(attemptId);
  chainRemove(pool.claimOrder, held);
  changeClaimed(pool.members, held.member, -1);
  return held.member;
}
