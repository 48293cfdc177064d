/** Something that will happen at a virtual time, unless it is cancelled before. */
export interface Timer {
  /** Null once it has run or was cancelled. */
  run: (() => void) | null;
}

interface FarTimer extends Timer {
  readonly atMs: number;
  readonly sequence: number;
}

/** What is nearer than this has a place of its own for each millisecond: nearly all events are, and cost no search. */
const nearMs = 4_096;

/**
 * Virtual time: events in the order of (time, when they were asked for), in whole milliseconds since the epoch. Nothing
 * waits, so that hours pass in seconds, and the same events come in the same order at every run.
 */
export class EventLoop {
  #nowMs: number;
  #sequence = 0;
  #steps = 0;
  /** Events of the next {@link nearMs} milliseconds, by the low bits of their time, each in the order of asking. */
  readonly #near: Timer[][] = Array.from({ length: nearMs }, () => []);
  #nearCount = 0;
  /** Later ones: a binary heap, each not later than the two at twice its index. */
  readonly #far: FarTimer[] = [];

  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Events that have run. */
  get steps(): number {
    return this.#steps;
  }

  /** Runs `run` in `delayMs` milliseconds; a fraction counts as a whole one. */
  after(delayMs: number, run: () => void): Timer {
    const wholeMs = Math.max(0, Math.ceil(delayMs));
    const atMs = this.#nowMs + wholeMs;
    if (wholeMs < nearMs) {
      const timer: Timer = { run };
      this.#at(atMs).push(timer);
      this.#nearCount += 1;
      return timer;
    }
    const timer: FarTimer = { atMs, sequence: this.#sequence, run };
    this.#sequence += 1;
    this.#push(timer);
    return timer;
  }

  /** Takes an event back. One that has run, or none at all, is left alone. */
  cancel(timer: Timer | undefined): void {
    if (timer !== undefined) timer.run = null;
  }

  /** Runs everything up to and including `endMs`; it is `endMs` afterwards. */
  runUntil(endMs: number): void {
    for (; this.#nowMs <= endMs; this.#nowMs += 1) {
      // A time in which nothing happens is leapt over.
      if (this.#nearCount === 0) this.#nowMs = Math.max(this.#nowMs, Math.min(endMs, this.#far[0]?.atMs ?? endMs));
      // Far ones first: they were asked for when this time was not near yet.
      for (let first = this.#far[0]; first !== undefined && first.atMs === this.#nowMs; first = this.#far[0]) {
        this.#pop();
        this.#run(first);
      }
      const due = this.#at(this.#nowMs);
      // One that asks for another at this very time lengthens the list.
      for (let index = 0; index < due.length; index += 1) this.#run(due[index]);
      this.#nearCount -= due.length;
      due.length = 0;
    }
    this.#nowMs = endMs;
  }

  #run(timer: Timer | undefined): void {
    const run = timer?.run;
    if (timer === undefined || run === undefined || run === null) return;
    timer.run = null;
    this.#steps += 1;
    run();
  }

  #at(timeMs: number): Timer[] {
    const list = this.#near[timeMs % nearMs];
    if (list === undefined) throw new Error("a time has no place");
    return list;
  }

  #push(timer: FarTimer): void {
    const heap = this.#far;
    let index = heap.length;
    heap.push(timer);
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || !isBefore(timer, parent)) break;
      heap[index] = parent;
      index = above;
    }
    heap[index] = timer;
  }

  #pop(): void {
    const heap = this.#far;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const [one, other] = [heap[left], heap[left + 1]];
      if (one === undefined) break;
      const isOther = other !== undefined && isBefore(other, one);
      const child = isOther ? other : one;
      if (!isBefore(child, last)) break;
      heap[index] = child;
      index = isOther ? left + 1 : left;
    }
    heap[index] = last;
  }
}

function isBefore(left: FarTimer, right: FarTimer): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.sequence < right.sequence);
}
