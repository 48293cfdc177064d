import type { AccountId, AttemptId } from "../ids.ts";
import {
  emptyFairQueue,
  type FairQueue,
  fairAdd,
  fairFirst,
  fairPeek,
  fairRemove,
  type Waiting,
} from "./fair-queue.ts";
import { emptyHeap, type Heap, heapAdd, heapRemove, heapTop } from "./heap.ts";
import { priorityOf, type Ticket } from "./ticket.ts";

/**
 * Choosy tickets that are asked about one place before the first that takes any node has it. Exclusions come of nodes
 * that failed, so few tickets have them; the bound is for the hour in which many tasks lost one and the same node.
 */
export const lookAheadTickets = 32;

/** Who waits for a place: priority classes, in each a weighted-fair order between accounts. */
export interface TicketQueue {
  /** In the order in which they came. */
  readonly byAttempt: Map<AttemptId, Waiting>;
  /** The choosy ones among them. */
  readonly choosy: Set<Waiting>;
  /** Highest priority first; a class in which nobody waits is not there. */
  readonly classes: { priority: number; queue: FairQueue }[];
  /** Who has waited long enough first is first. */
  readonly expiries: Heap<Waiting>;
  readonly perAccount: Map<AccountId, number>;
  /** The account that holds more than half of the bound, where one does. */
  crowding: AccountId | undefined;
  /** Nodes that the choosiest ticket has named since the queue was last empty. */
  mostNamed: number;
  sequence: number;
}

/** Nobody waits. */
export function emptyTicketQueue(): TicketQueue {
  return {
    byAttempt: new Map(),
    choosy: new Set(),
    classes: [],
    expiries: emptyHeap<Waiting>((one, other) => one.ticket.expiresAtMs < other.ticket.expiresAtMs),
    perAccount: new Map(),
    crowding: undefined,
    mostNamed: 0,
    sequence: 0,
  };
}

/** Tickets that one account may hold once another account waits too: half of the queue's bound, at least 1. */
export function accountTickets(bound: number): number {
  return Math.max(1, Math.floor(bound / 2));
}

/**
 * Queues a ticket where the bounds allow it. Past `bound` tickets in all, a newcomer takes the place of the newest
 * ticket of the account that holds more than {@link accountTickets}, which is then `displaced`; where no account does,
 * and for an account that holds its share while others wait, the answer is `full`.
 */
export function enqueue(
  queue: TicketQueue,
  ticket: Ticket,
  bound: number,
): { kind: "queued"; displaced: Ticket | undefined } | { kind: "full" } {
  const share = accountTickets(bound);
  const own = queue.perAccount.get(ticket.accountId) ?? 0;
  const all = queue.byAttempt.size;
  if (own >= share && all > own) return { kind: "full" };
  let displaced: Ticket | undefined;
  if (all >= bound) {
    const { crowding } = queue;
    if (crowding === undefined || crowding === ticket.accountId) return { kind: "full" };
    displaced = newestOf(queue, crowding);
    if (displaced === undefined) return { kind: "full" };
    dequeue(queue, displaced.attemptId, { isServed: false, bound });
  }
  add(queue, ticket, bound);
  return { kind: "queued", displaced };
}

/** Takes a ticket out; `undefined` where it does not wait. `isServed`: it got a place. */
export function dequeue(
  queue: TicketQueue,
  attemptId: AttemptId,
  { isServed, bound }: { isServed: boolean; bound: number },
): Ticket | undefined {
  const waiting = queue.byAttempt.get(attemptId);
  if (waiting === undefined) return undefined;
  const { ticket } = waiting;
  queue.byAttempt.delete(attemptId);
  queue.choosy.delete(waiting);
  heapRemove(queue.expiries, waiting);
  const place = queue.classes.findIndex(({ priority }) => priority === priorityOf(ticket));
  const found = queue.classes[place];
  if (found === undefined) throw new Error("a ticket waits in no class");
  fairRemove(found.queue, waiting, { isServed });
  if (found.queue.lines.size === 0) queue.classes.splice(place, 1);

  const left = (queue.perAccount.get(ticket.accountId) ?? 0) - 1;
  if (left > 0) queue.perAccount.set(ticket.accountId, left);
  else queue.perAccount.delete(ticket.accountId);
  if (queue.crowding === ticket.accountId && left <= accountTickets(bound)) queue.crowding = undefined;
  if (queue.byAttempt.size === 0) queue.mostNamed = 0;
  return ticket;
}

/**
 * The first ticket by priority and fair order that `fits`; see {@link fairFirst} for `plainFits`. At most
 * {@link lookAheadTickets} choosy ones are asked.
 */
export function firstThatFits(
  queue: TicketQueue,
  fits: (ticket: Ticket) => boolean,
  { plainFits }: { plainFits: boolean },
): Ticket | undefined {
  const lookAhead = { left: lookAheadTickets };
  for (const each of queue.classes) {
    const found = fairFirst(each.queue, fits, { plainFits, lookAhead });
    if (found !== undefined) return found.ticket;
  }
  return undefined;
}

/** The first `count` tickets by priority and fair order. */
export function firstTickets(queue: TicketQueue, count: number): Ticket[] {
  const first: Ticket[] = [];
  for (const each of queue.classes) {
    if (first.length >= count) break;
    first.push(...fairPeek(each.queue, count - first.length).map(({ ticket }) => ticket));
  }
  return first;
}

/** The ticket that expires first, `undefined` where nobody waits. */
export function nextToExpire(queue: TicketQueue): Ticket | undefined {
  return heapTop(queue.expiries)?.ticket;
}

function add(queue: TicketQueue, ticket: Ticket, bound: number): void {
  // Whom an operator or an ability shuts out cannot be counted here: it may be anybody.
  const isBroad = (ticket.excludeOperators?.size ?? 0) > 0 || ticket.needs !== undefined;
  const named = isBroad ? Number.POSITIVE_INFINITY : ticket.exclude.size + ticket.avoid.size;
  const waiting: Waiting = {
    ticket,
    sequence: queue.sequence,
    isChoosy: named > 0,
    previous: undefined,
    next: undefined,
  };
  queue.sequence += 1;
  queue.byAttempt.set(ticket.attemptId, waiting);
  if (waiting.isChoosy) queue.choosy.add(waiting);
  queue.mostNamed = Math.max(queue.mostNamed, named);
  heapAdd(queue.expiries, waiting);
  fairAdd(classOf(queue, priorityOf(ticket)), waiting);

  const own = (queue.perAccount.get(ticket.accountId) ?? 0) + 1;
  queue.perAccount.set(ticket.accountId, own);
  if (own > accountTickets(bound)) queue.crowding = ticket.accountId;
}

function classOf(queue: TicketQueue, priority: number): FairQueue {
  const place = queue.classes.findIndex((each) => each.priority <= priority);
  const found = queue.classes[place];
  if (found?.priority === priority) return found.queue;
  const added = { priority, queue: emptyFairQueue() };
  queue.classes.splice(place === -1 ? queue.classes.length : place, 0, added);
  return added.queue;
}

/**
 * The newest ticket of an account in its lowest priority; a choosy one only where it has no other, since a task that
 * lost a node is under way.
 */
function newestOf({ classes }: TicketQueue, accountId: AccountId): Ticket | undefined {
  const lines = classes.map(({ queue }) => queue.lines.get(accountId)).reverse();
  const plain = lines.find((line) => line?.plain.last !== undefined)?.plain.last;
  return (plain ?? lines.find((line) => line !== undefined)?.choosy.last)?.ticket;
}
