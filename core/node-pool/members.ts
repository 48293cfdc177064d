import type { AccountId, NodeId } from "../ids.ts";
import type { Ability } from "./ability.ts";
import { type Chain, type Chained, chainAppend, chainRemove, emptyChain } from "./chain.ts";
import { emptyHeap, type Heap, heapAdd, heapRemove, heapTop } from "./heap.ts";
import { emptyMinuteCount, type MinuteCount } from "./minute-count.ts";

/** A node as its pool knows it. Credits are soft: the node's own object has the last word. */
export interface PoolMember {
  nodeId: NodeId;
  /** Tasks of this model that the node runs at once. */
  slots: number;
  /** Tasks it would take now, as it last said. */
  free: number;
  /** Decode speed of one stream, as the node measured it at start. */
  tokensPerSecond: number;
  /** Mean of what its recent answers took to their first token; null while none was measured. */
  firstTokenMs: number | null;
  /** Put aside until then, milliseconds since the epoch: given work only where nobody else lives. 0 where it is not. */
  asideUntilMs: number;
  /** When its object last spoke. */
  heardAtMs: number;
  /** Whose it is; absent where nothing was said, so that nobody excludes it. */
  operator?: AccountId | undefined;
  /** What its answers and checks are good for; absent is all. */
  ability?: Ability | undefined;
  /** `free` is not the node's own word: the pool was reset and has not heard from it since. */
  isGuess: boolean;
}

/** A member with what the pool counts about it. */
export interface Member extends PoolMember, Chained<Member> {
  /** Leases given to it that it has not confirmed. */
  claimed: number;
  /** `asideUntilMs` has not passed, as far as time was settled. */
  isAside: boolean;
  /** False once it has left: claims may still name it. */
  isHere: boolean;
  /** Its place among the members with room of its kind; −1 where it has no room. */
  place: number;
  /** Leases given to it. */
  given: MinuteCount;
}

/** The members of a pool, with every count and order that a claim needs, so that none has to be searched for. */
export interface Members {
  readonly byId: Map<NodeId, Member>;
  /** Who has not spoken for longest is first. */
  readonly heard: Chain<Member>;
  /** Members with room, in no order: those that are in their place, and those put aside. */
  readonly withRoom: { readonly ordinary: Member[]; readonly aside: Member[] };
  /** Who comes back from being put aside next is first. */
  readonly asideEnds: Heap<Member>;
  /** Members of each operator, and those that cannot do all. */
  readonly byOperator: Map<AccountId, Set<Member>>;
  readonly limited: Set<Member>;
  /** Slots of all, and tasks that all would take now. */
  slots: number;
  room: number;
}

/** Nobody is a member. */
export function emptyMembers(): Members {
  return {
    byId: new Map(),
    heard: emptyChain(),
    withRoom: { ordinary: [], aside: [] },
    asideEnds: emptyHeap<Member>((one, other) => one.asideUntilMs < other.asideUntilMs),
    byOperator: new Map(),
    limited: new Set(),
    slots: 0,
    room: 0,
  };
}

/** Tasks that a member would take now: its free credits less the claims on their way to it. Never below 0. */
export function roomIn(member: Member): number {
  return Math.max(0, member.free - member.claimed);
}

/** Members that are not put aside. */
export function ordinaryCount(members: Members): number {
  return members.byId.size - members.asideEnds.items.length;
}

/**
 * Keeps what is said of a node, as of `word.heardAtMs`, which must not be before that of any other member. Claims on
 * their way to one that is a member already go on counting. Logarithmic time where it is put aside, else constant.
 */
export function putMember(members: Members, word: PoolMember): Member {
  const known = members.byId.get(word.nodeId);
  const member = known ?? newMember(word);
  if (known !== undefined) {
    unlist(members, known);
    chainRemove(members.heard, known);
    heapRemove(members.asideEnds, known);
    unsort(members, known);
    Object.assign(known, word);
  }
  member.isAside = word.asideUntilMs > word.heardAtMs;
  members.byId.set(word.nodeId, member);
  sort(members, member);
  chainAppend(members.heard, member);
  if (member.isAside) heapAdd(members.asideEnds, member);
  list(members, member);
  return member;
}

/** Takes a member out. Its claims die with it. */
export function dropMember(members: Members, member: Member): void {
  unlist(members, member);
  chainRemove(members.heard, member);
  heapRemove(members.asideEnds, member);
  unsort(members, member);
  members.byId.delete(member.nodeId);
  member.isHere = false;
}

/** One claim more (1) or less (−1) is on its way to a member; nothing changes for one that has left. */
export function changeClaimed(members: Members, member: Member, by: 1 | -1): void {
  if (!member.isHere) return;
  unlist(members, member);
  member.claimed += by;
  list(members, member);
}

/** Members that have been silent since `beforeMs` or longer are dropped; returns how many. */
export function dropSilent(members: Members, beforeMs: number): number {
  let dropped = 0;
  for (let member = members.heard.first; member !== undefined && member.heardAtMs <= beforeMs; dropped += 1) {
    dropMember(members, member);
    member = members.heard.first;
  }
  return dropped;
}

/** Takes back the members that were put aside until `nowMs` or before, and returns them. */
export function endAside(members: Members, nowMs: number): Member[] {
  const back: Member[] = [];
  for (;;) {
    const member = heapTop(members.asideEnds);
    if (member === undefined || member.asideUntilMs > nowMs) return back;
    unlist(members, member);
    heapRemove(members.asideEnds, member);
    member.isAside = false;
    list(members, member);
    back.push(member);
  }
}

function newMember(word: PoolMember): Member {
  return {
    ...word,
    claimed: 0,
    isAside: false,
    isHere: true,
    place: -1,
    given: emptyMinuteCount(),
    previous: undefined,
    next: undefined,
  };
}

/** The members with room that a member stands among, where it has some. */
export function neighboursOf(members: Members, member: Member): Member[] {
  return member.isAside ? members.withRoom.aside : members.withRoom.ordinary;
}

/** Notes whose it is and what it can do. */
function sort({ byOperator, limited }: Members, member: Member): void {
  const { operator, ability = "validator" } = member;
  if (ability !== "validator") limited.add(member);
  if (operator === undefined) return;
  const own = byOperator.get(operator);
  if (own === undefined) byOperator.set(operator, new Set([member]));
  else own.add(member);
}

/** Must come before any change of what {@link sort} reads. */
function unsort({ byOperator, limited }: Members, member: Member): void {
  limited.delete(member);
  if (member.operator === undefined) return;
  const own = byOperator.get(member.operator);
  own?.delete(member);
  if (own?.size === 0) byOperator.delete(member.operator);
}

function list(members: Members, member: Member): void {
  const room = roomIn(member);
  members.slots += member.slots;
  members.room += room;
  if (room === 0) return;
  const neighbours = neighboursOf(members, member);
  member.place = neighbours.length;
  neighbours.push(member);
}

/** Must come before any change of what {@link list} reads. */
function unlist(members: Members, member: Member): void {
  members.slots -= member.slots;
  members.room -= roomIn(member);
  if (member.place === -1) return;
  const neighbours = neighboursOf(members, member);
  const last = neighbours.pop();
  if (last !== undefined && last !== member) {
    neighbours[member.place] = last;
    last.place = member.place;
  }
  member.place = -1;
}
