import type { NodeId } from "../ids.ts";
import { isExcluded } from "./ability.ts";
import { type Affinity, nodeOfConversation } from "./affinity.ts";
import { expectedFirstTokenMs } from "./expected-time.ts";
import { type Member, type Members, ordinaryCount, roomIn } from "./members.ts";
import type { Ticket } from "./ticket.ts";

/**
 * A conversation goes back to the node that has its prefix unless the better of the two drawn is expected to be this much
 * sooner. By {@link expectedFirstTokenMs} a half full node counts 1.5 times an idle one: among equal nodes a conversation
 * leaves its own as it gets more than half full while another is idle, for then what the cache saves in prefill is lost
 * again by sharing the engine all through the answer.
 */
export const affinityFactor = 1.5;

/**
 * The member with room that a ticket shall have, or `undefined` where none that it may have has room. Ordinary members
 * come first; members put aside only where the ticket may have no ordinary one that lives, busy or not; members it
 * avoids only where nobody else lives. With `isLastResort` false it gets ordinary ones only.
 *
 * Of many it takes the one of two drawn at random that is expected to be sooner at its first token: close to the best
 * choice, without herding (Mitzenmacher 2001). Touches as many members as the ticket names, and two.
 */
export function chooseMember(
  members: Members,
  ticket: Ticket,
  affinity: Affinity,
  { random, isLastResort }: { random: () => number; isLastResort: boolean },
): Member | undefined {
  const { ordinary, aside } = members.withRoom;
  const drawable = setApart(members, ticket, ordinary);
  if (drawable > 0) {
    return ownOf(members, ticket, affinity, drawable, betterOfTwo(ordinary, drawable, random));
  }
  if (!isLastResort || ordinaryFor(members, ticket) > 0) return undefined;
  const drawableAside = setApart(members, ticket, aside);
  if (drawableAside > 0) return betterOfTwo(aside, drawableAside, random);
  return livingFor(members, ticket) > 0 ? undefined : bestAvoided(members, ticket);
}

/** True where a ticket may have a member that has room, by the rule of {@link chooseMember}. */
export function mayHave(members: Members, ticket: Ticket, member: Member): boolean {
  if (isExcluded(member, ticket)) return false;
  if (ticket.avoid.has(member.nodeId)) return livingFor(members, ticket) === 0;
  return !member.isAside || ordinaryFor(members, ticket) === 0;
}

/** True where some member lives that could ever serve a ticket. Touches as many members as the ticket excludes. */
export function isServable(members: Members, ticket: Pick<Ticket, "exclude" | "excludeOperators" | "needs">): boolean {
  const isNarrow = ticket.excludeOperators === undefined && ticket.needs === undefined;
  if (isNarrow && members.byId.size > ticket.exclude.size) return true;
  let excluded = 0;
  for (const nodeId of shutOut(members, ticket)) if (members.byId.has(nodeId)) excluded += 1;
  return members.byId.size > excluded;
}

/** Members that are neither put aside nor named by the ticket. */
function ordinaryFor(members: Members, ticket: Ticket): number {
  let count = ordinaryCount(members);
  for (const nodeId of named(members, ticket)) if (members.byId.get(nodeId)?.isAside === false) count -= 1;
  return count;
}

/** Members that the ticket does not name. */
function livingFor(members: Members, ticket: Ticket): number {
  let count = members.byId.size;
  for (const nodeId of named(members, ticket)) if (members.byId.has(nodeId)) count -= 1;
  return count;
}

/** Every node that a ticket excludes or avoids, once. */
function* named(members: Members, ticket: Ticket): Generator<NodeId> {
  yield* shutOut(members, ticket);
  for (const nodeId of ticket.avoid) {
    const member = members.byId.get(nodeId);
    if (member === undefined ? !ticket.exclude.has(nodeId) : !isExcluded(member, ticket)) yield nodeId;
  }
}

/** Every node that a ticket excludes, once: by name, by operator, or since it cannot do what is needed. */
function* shutOut(
  { byOperator, limited }: Members,
  ticket: Pick<Ticket, "exclude" | "excludeOperators" | "needs">,
): Generator<NodeId> {
  const { exclude, excludeOperators, needs } = ticket;
  yield* exclude;
  for (const operator of excludeOperators ?? []) {
    for (const { nodeId } of byOperator.get(operator) ?? []) if (!exclude.has(nodeId)) yield nodeId;
  }
  if (needs === undefined) return;
  for (const member of limited) {
    const isNamed = isExcluded(member, { exclude, ...(excludeOperators === undefined ? {} : { excludeOperators }) });
    if (!isNamed && isExcluded(member, ticket)) yield member.nodeId;
  }
}

/** Moves the members that a ticket names to the end of a list, and returns how many stand before them. */
function setApart(members: Members, ticket: Ticket, list: Member[]): number {
  let drawable = list.length;
  for (const nodeId of named(members, ticket)) {
    const member = members.byId.get(nodeId);
    if (member === undefined || list[member.place] !== member) continue;
    drawable -= 1;
    const other = list[drawable];
    if (other === undefined) throw new Error("a list of members with room has a hole");
    list[member.place] = other;
    other.place = member.place;
    list[drawable] = member;
    member.place = drawable;
  }
  return drawable;
}

function betterOfTwo(list: readonly Member[], drawable: number, random: () => number): Member | undefined {
  const first = Math.floor(random() * drawable);
  const one = list[first];
  if (drawable < 2) return one;
  // The second is drawn from the others: a pair is two members.
  const second = Math.floor(random() * (drawable - 1));
  const other = list[second < first ? second : second + 1];
  return one !== undefined && other !== undefined && expectedMs(other) < expectedMs(one) ? other : one;
}

/** The member that has the ticket's conversation, where it has room and is not much busier; else `better`. */
function ownOf(
  members: Members,
  ticket: Ticket,
  affinity: Affinity,
  drawable: number,
  better: Member | undefined,
): Member | undefined {
  const ownId = ticket.affinity === null ? undefined : nodeOfConversation(affinity, ticket.affinity);
  const own = ownId === undefined ? undefined : members.byId.get(ownId);
  if (own === undefined || better === undefined || own.isAside || own.place < 0 || own.place >= drawable) return better;
  return expectedMs(own) <= affinityFactor * expectedMs(better) ? own : better;
}

function bestAvoided(members: Members, ticket: Ticket): Member | undefined {
  let best: Member | undefined;
  for (const nodeId of ticket.avoid) {
    const member = members.byId.get(nodeId);
    if (member === undefined || isExcluded(member, ticket) || roomIn(member) === 0) continue;
    if (best === undefined || expectedMs(member) < expectedMs(best)) best = member;
  }
  return best;
}

function expectedMs(member: Member): number {
  return expectedFirstTokenMs(member, roomIn(member));
}
