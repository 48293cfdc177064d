import type { AttemptId } from "../../core/ids.ts";
import type { LeaseBook } from "../../core/lease/lease-book.ts";
import type { Attached, LeaseEffect } from "../../core/lease/lease-effect.ts";
import type { TaskRecord } from "../../core/record/entry.ts";
import { holds } from "./ground.ts";

/** What was asked of one attempt's telling so far. */
interface Heard {
  nextSeq: number;
  isStarted: boolean;
  isOver: boolean;
}

/**
 * What a node's object has been told to do by its lease book, checked by somebody else's counting: each reader hears
 * every piece once and in order and at most one end, each attempt is put on record once, nothing is sent without a
 * socket, and the book's next deadline lies ahead.
 */
export class LeaseWitness {
  readonly #name: string;
  readonly #heard = new Map<AttemptId, Heard>();
  readonly #recorded = new Set<AttemptId>();
  #hasSocket: boolean;

  constructor(name: string, { hasSocket }: { hasSocket: boolean }) {
    this.#name = name;
    this.#hasSocket = hasSocket;
  }

  /** A task was handed over: its reader waits for the first piece. */
  opened(attemptId: AttemptId): void {
    this.#hasSocket = true;
    this.#heard.set(attemptId, { nextSeq: 0, isStarted: false, isOver: false });
  }

  /** A reader came back with the pieces before `nextSeq`. */
  attached(attemptId: AttemptId, nextSeq: number, attached: Attached): void {
    if (attached.kind !== "open") return;
    this.#heard.set(attemptId, { nextSeq, isStarted: attached.isAcked, isOver: false });
  }

  /** The node's process is on a fresh socket. */
  welcomed(): void {
    this.#hasSocket = true;
  }

  socketLost(): void {
    this.#hasSocket = false;
  }

  /** Checks what the book asks for, in order, and where it then stands. `nowMs` is the object's clock. */
  asked(effects: readonly LeaseEffect[], book: LeaseBook, nowMs: number): void {
    for (const effect of effects) this.#check(effect);
    const dueMs = book.nextTickMs(nowMs);
    holds(dueMs === undefined || dueMs >= nowMs, "a deadline lies ahead", () => `${this.#name} is late`);
    holds(book.size === 0 || dueMs !== undefined, "every lease has a deadline", () => this.#name);
  }

  #check(effect: LeaseEffect): void {
    const where = () => `${this.#name}: ${JSON.stringify(effect)}`;
    switch (effect.type) {
      case "send":
        holds(this.#hasSocket, "nothing is sent without a socket", where);
        break;
      case "dropSocket":
        holds(this.#hasSocket, "a socket that is lost is lost once", where);
        this.#hasSocket = false;
        break;
      case "start": {
        const heard = this.#heard.get(effect.attemptId);
        if (heard === undefined) break;
        holds(!heard.isStarted, "an attempt begins once for its reader", where);
        heard.isStarted = true;
        break;
      }
      case "tell": {
        const heard = this.#heard.get(effect.attemptId);
        if (heard === undefined) break;
        holds(!heard.isOver, "nothing follows an end", where);
        if (effect.event.type === "delta") {
          holds(effect.event.seq === heard.nextSeq, "no stream has a gap or a repeat", where);
          heard.nextSeq += 1;
        } else heard.isOver = true;
        break;
      }
      case "hangUp":
        this.#heard.delete(effect.attemptId);
        break;
      case "record":
        holds(!this.#recorded.has(effect.attemptId), "no attempt is recorded twice", where);
        this.#recorded.add(effect.attemptId);
        this.#checkBlame(effect.record, where);
        break;
      case "keep":
        holds(!this.#recorded.has(effect.kept.terms.attemptId), "what has ended is not open", where);
    }
  }

  /** Whoever looks at a trace wants to know of this; in a simulation every node is honest. */
  #checkBlame({ attempts }: TaskRecord, where: () => string): void {
    const isBlamed = attempts.at(-1)?.reason?.startsWith("protocol:") === true;
    holds(!isBlamed, "no node is blamed for what it did not do", where);
  }
}
