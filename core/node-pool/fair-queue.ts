import type { AccountId } from "../ids.ts";
import { type Chain, type Chained, chainAppend, chainRemove, emptyChain } from "./chain.ts";
import { emptyHeap, type Heap, heapAdd, heapMoved, heapRemove, heapTop } from "./heap.ts";
import { leastWeight, type Ticket } from "./ticket.ts";

/** A ticket in the queue. */
export interface Waiting extends Chained<Waiting> {
  ticket: Ticket;
  /** Counts up with each ticket that came to the pool. */
  sequence: number;
  /** It excludes or avoids nodes, so that a free one may be none for it. */
  isChoosy: boolean;
}

/** The tickets of one account and one priority, first come first: those that take any node, and the choosy ones. */
export interface Line {
  accountId: AccountId;
  /** Virtual time at which its next ticket's turn begins. */
  start: number;
  plain: Chain<Waiting>;
  choosy: Chain<Waiting>;
}

/**
 * The tickets of one priority, in weighted-fair order between accounts: start-time fair queueing (Goyal, Vin & Cheng
 * 1996). A ticket's virtual start is the later of the queue's virtual time and the account's last finish; its finish
 * is its start + 1 ÷ weight; the lowest start is served first, and its start is then the queue's virtual time. Within an
 * account, first come is first served.
 */
export interface FairQueue {
  readonly lines: Map<AccountId, Line>;
  /** Lines with tickets that take any node, and lines with choosy ones; a line may stand in both. */
  readonly plain: Heap<Line>;
  readonly choosy: Heap<Line>;
  virtualTime: number;
  /** Last finish of accounts that have nothing waiting now and were served ahead of the virtual time. */
  readonly finished: Map<AccountId, number>;
}

/** Accounts whose finish is remembered though nothing of them waits. One that is forgotten may come a turn early. */
const finishedAtMost = 10_000;

/** A queue in which nobody waits. */
export function emptyFairQueue(): FairQueue {
  return {
    lines: new Map(),
    plain: emptyHeap<Line>((one, other) => isAhead(one, one.plain.first, other, other.plain.first)),
    choosy: emptyHeap<Line>((one, other) => isAhead(one, one.choosy.first, other, other.choosy.first)),
    virtualTime: 0,
    finished: new Map(),
  };
}

/** Puts a ticket at the end of its account's line. */
export function fairAdd(queue: FairQueue, waiting: Waiting): void {
  const { accountId } = waiting.ticket;
  let line = queue.lines.get(accountId);
  if (line === undefined) {
    const start = Math.max(queue.virtualTime, queue.finished.get(accountId) ?? 0);
    queue.finished.delete(accountId);
    line = { accountId, start, plain: emptyChain(), choosy: emptyChain() };
    queue.lines.set(accountId, line);
  }
  const [chain, heap] = sideOf(queue, line, waiting);
  const isFirst = chain.first === undefined;
  chainAppend(chain, waiting);
  if (isFirst) heapAdd(heap, line);
}

/** Takes a ticket out; `isServed` where it got a place, which its account pays for in virtual time. */
export function fairRemove(queue: FairQueue, waiting: Waiting, { isServed }: { isServed: boolean }): void {
  const { accountId, weight = 1 } = waiting.ticket;
  const line = queue.lines.get(accountId);
  if (line === undefined) throw new Error("a ticket waits in no line");
  const [chain, heap] = sideOf(queue, line, waiting);
  const wasFirst = chain.first === waiting;
  chainRemove(chain, waiting);
  if (chain.first === undefined) heapRemove(heap, line);
  else if (wasFirst) heapMoved(heap, line);
  if (isServed) {
    queue.virtualTime = Math.max(queue.virtualTime, line.start);
    line.start += 1 / Math.max(weight, leastWeight);
    heapMoved(queue.plain, line);
    heapMoved(queue.choosy, line);
  }
  if (line.plain.first === undefined && line.choosy.first === undefined) endLine(queue, line);
}

/**
 * The first ticket in fair order that `fits`. Choosy ones are asked one by one, at most `lookAhead.left` of them, from
 * which those asked are taken; the others all fit where `plainFits` holds, and none does where it does not. So a ticket
 * that cannot use a node lets the next one have it, and only a choosy one behind many others may be passed over.
 */
export function fairFirst(
  queue: FairQueue,
  fits: (ticket: Ticket) => boolean,
  { plainFits, lookAhead }: { plainFits: boolean; lookAhead: { left: number } },
): Waiting | undefined {
  const plainLine = plainFits ? heapTop(queue.plain) : undefined;
  const plain = plainLine?.plain.first;
  const asked: Line[] = [];
  let found: Waiting | undefined;
  while (found === undefined && lookAhead.left > 0) {
    const line = heapTop(queue.choosy);
    if (line === undefined) break;
    if (plainLine !== undefined && isAhead(plainLine, plain, line, line.choosy.first)) break;
    heapRemove(queue.choosy, line);
    asked.push(line);
    found = firstOfLine(line, fits, { plainFits, lookAhead });
  }
  for (const line of asked) heapAdd(queue.choosy, line);
  return found ?? plain;
}

/** The first of a line that fits; `undefined` also where no more may be asked. */
function firstOfLine(
  line: Line,
  fits: (ticket: Ticket) => boolean,
  { plainFits, lookAhead }: { plainFits: boolean; lookAhead: { left: number } },
): Waiting | undefined {
  const plain = plainFits ? line.plain.first : undefined;
  for (let next = line.choosy.first; next !== undefined; next = next.next) {
    if (plain !== undefined && plain.sequence < next.sequence) return plain;
    if (lookAhead.left === 0) return undefined;
    lookAhead.left -= 1;
    if (fits(next.ticket)) return next;
  }
  return plain;
}

/** Where a look along a line has come. */
interface Turn {
  start: number;
  plain: Waiting | undefined;
  choosy: Waiting | undefined;
}

/** The first `count` tickets in fair order, whatever they fit. Touches twice as many accounts at most. */
export function fairPeek(queue: FairQueue, count: number): Waiting[] {
  const turns = [...takeLines(queue.plain, count), ...takeLines(queue.choosy, count)];
  const lines = new Map<Line, Turn>(
    turns.map((line) => [line, { start: line.start, plain: line.plain.first, choosy: line.choosy.first }]),
  );
  const order: Waiting[] = [];
  while (order.length < count) {
    let next: { turn: Turn; waiting: Waiting } | undefined;
    for (const turn of lines.values()) {
      const waiting = earlier(turn.plain, turn.choosy);
      if (waiting === undefined) continue;
      if (next === undefined || isAhead(turn, waiting, next.turn, next.waiting)) next = { turn, waiting };
    }
    if (next === undefined) break;
    order.push(next.waiting);
    const { turn, waiting } = next;
    if (waiting === turn.plain) turn.plain = waiting.next;
    else turn.choosy = waiting.next;
    turn.start += 1 / Math.max(waiting.ticket.weight ?? 1, leastWeight);
  }
  return order;
}

function takeLines(heap: Heap<Line>, count: number): Line[] {
  const taken: Line[] = [];
  for (let line = heapTop(heap); line !== undefined && taken.length < count; line = heapTop(heap)) {
    heapRemove(heap, line);
    taken.push(line);
  }
  for (const line of taken) heapAdd(heap, line);
  return taken;
}

/** Lower starts are ahead; of equal ones the ticket that came first. */
function isAhead(
  one: { start: number },
  first: Waiting | undefined,
  other: { start: number },
  second: Waiting | undefined,
): boolean {
  if (one.start !== other.start) return one.start < other.start;
  return (first?.sequence ?? 0) < (second?.sequence ?? 0);
}

function earlier(one: Waiting | undefined, other: Waiting | undefined): Waiting | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one.sequence < other.sequence ? one : other;
}

function sideOf(queue: FairQueue, line: Line, { isChoosy }: Waiting): [Chain<Waiting>, Heap<Line>] {
  return isChoosy ? [line.choosy, queue.choosy] : [line.plain, queue.plain];
}

function endLine(queue: FairQueue, { accountId, start }: Line): void {
  queue.lines.delete(accountId);
  // Nobody waits: what accounts had before does not count in the next time of want.
  if (queue.lines.size === 0) queue.finished.clear();
  else if (start > queue.virtualTime) {
    queue.finished.set(accountId, start);
    if (queue.finished.size > finishedAtMost) forgetFinished(queue);
  }
}

/** Drops what the virtual time has passed, and all where that is not half of it: so it comes rarely. */
function forgetFinished({ finished, virtualTime }: FairQueue): void {
  for (const [accountId, finish] of finished) if (finish <= virtualTime) finished.delete(accountId);
  if (finished.size > finishedAtMost / 2) finished.clear();
}
