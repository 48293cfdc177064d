import type { Ground } from "./ground.ts";

/** A while in which calls between objects go wrong. Shares of calls, from 0 to 1. */
export interface CallTrouble {
  /** Never arrive. */
  lostBefore: number;
  /** Take effect, and nobody hears of it. */
  lostAfter: number;
  /** Take up to this much longer, each on its own, so that they overtake each other. */
  slowedMs: number;
}

const calm: CallTrouble = { lostBefore: 0, lostAfter: 0, slowedMs: 0 };

/** The ways between Workers, objects, Postgres and nodes: how long they take, and what goes wrong on them. */
export class Network {
  readonly #ground: Ground;
  #trouble = calm;
  #troubles = 0;

  constructor(ground: Ground) {
    this.#ground = ground;
  }

  /** Calls go wrong in this way for a while; a later trouble takes the place of this one. */
  trouble(trouble: CallTrouble, durationMs: number): void {
    this.#trouble = trouble;
    this.#troubles += 1;
    const mine = this.#troubles;
    this.#ground.loop.after(durationMs, () => {
      if (this.#troubles === mine) this.#trouble = calm;
    });
  }

  /** One way of a call between objects in one place, milliseconds. */
  callMs(): number {
    const { slowedMs } = this.#trouble;
    return this.#ground.dice.whole(1, 3) + (slowedMs > 0 ? this.#ground.dice.whole(0, slowedMs) : 0);
  }

  fateOfCall(): "heard" | "lostBefore" | "lostAfter" {
    const { lostBefore, lostAfter } = this.#trouble;
    if (lostBefore + lostAfter === 0) return "heard";
    const draw = this.#ground.dice.random();
    return draw < lostBefore ? "lostBefore" : draw < lostBefore + lostAfter ? "lostAfter" : "heard";
  }
}

/** One direction of a connection: what is sent arrives once and in order, until the line is cut. */
export class Line<Item> {
  readonly #ground: Ground;
  readonly #delayMs: () => number;
  readonly #arrive: (item: Item) => void;
  #lastAtMs = 0;
  #isCut = false;
  /** What waits where nothing passes, in order; undefined while all passes. */
  #stuck: Item[] | undefined;

  constructor(ground: Ground, { delayMs, arrive }: { delayMs: () => number; arrive: (item: Item) => void }) {
    this.#ground = ground;
    this.#delayMs = delayMs;
    this.#arrive = arrive;
  }

  send(item: Item): void {
    if (this.#isCut) return;
    this.#lastAtMs = Math.max(this.#lastAtMs, this.#ground.loop.nowMs + this.#delayMs());
    this.#ground.loop.after(this.#lastAtMs - this.#ground.loop.nowMs, () => this.#take(item));
  }

  /** What is on its way is lost. */
  cut(): void {
    this.#isCut = true;
    this.#stuck = undefined;
  }

  /** Nothing arrives any more, and nothing is lost as long as the line is not cut: it is sent again. */
  block(): void {
    this.#stuck ??= [];
  }

  /** All passes again, in order. */
  unblock(): void {
    const stuck = this.#stuck ?? [];
    this.#stuck = undefined;
    for (const item of stuck) this.#take(item);
  }

  #take(item: Item): void {
    if (this.#isCut) return;
    if (this.#stuck !== undefined) this.#stuck.push(item);
    else this.#arrive(item);
  }
}
