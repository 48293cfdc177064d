import type { Ground } from "./ground.ts";
import type { Network } from "./network.ts";

/** What lives in an object's memory, and dies with it. */
export interface Instance {
  /** The alarm that its storage was set to; may ring twice. `done` says that it was heard to its end. */
  alarm?(done: () => void): void;
  /** The memory is about to go. What runs elsewhere on its behalf is cut, and nothing is saved. */
  dropped?(): void;
}

/** One stub of an object: what is said over it arrives in the order in which it was said. */
export interface Lane {
  lastAtMs: number;
}

const ringAgainMs = 2_000;

/** An object's clock and timers, as its parts have them. */
export interface Clock {
  readonly ground: Ground;
  readonly nowMs: number;
  /** Runs something later, unless the memory goes first. Returns how to take it back. */
  after(delayMs: number, run: () => void): () => void;
  /** The same function as long as the memory lives; afterwards it does nothing: nobody hears the answer. */
  inLife<Heard extends unknown[]>(act: (...heard: Heard) => void): (...heard: Heard) => void;
}

/**
 * A Durable Object as the platform keeps it: storage that stays, memory that may be gone at any event, one alarm, a
 * clock that may be wrong. Its instance is made from storage when somebody first speaks to it.
 */
export class ObjectHost<Made extends Instance> implements Clock {
  readonly name: string;
  readonly ground: Ground;
  /** Milliseconds that this object's clock is ahead of the others. */
  skewMs = 0;
  readonly #network: Network;
  readonly #make: (host: ObjectHost<Made>) => Made;
  #made: Made | undefined;
  #generation = 0;
  #alarmAtMs: number | undefined;
  #isRinging = false;
  /** Calls that wait for their answer. */
  readonly #calls = new Set<() => void>();

  constructor(
    { ground, network, name }: { ground: Ground; network: Network; name: string },
    make: (host: ObjectHost<Made>) => Made,
  ) {
    this.ground = ground;
    this.#network = network;
    this.name = name;
    this.#make = make;
  }

  /** The object's own clock. */
  get nowMs(): number {
    return this.ground.loop.nowMs + this.skewMs;
  }

  /** Counts resets: what an earlier memory began means nothing to a later one. */
  get generation(): number {
    return this.#generation;
  }

  /** True while a call or an alarm has not come to its end: the platform lets no object sleep then. */
  get isAtWork(): boolean {
    return this.#isRinging || this.#calls.size > 0;
  }

  /** True while the object has memory. */
  get isAwake(): boolean {
    return this.#made !== undefined;
  }

  get instance(): Made {
    if (this.#made === undefined) {
      this.#made = this.#make(this);
      this.ground.tally.add("objects woken");
    }
    return this.#made;
  }

  /** The instance if there is one: for checkers, which must wake nobody. */
  get instanceIfAwake(): Made | undefined {
    return this.#made;
  }

  /** Runs something of this memory later; a reset forgets it. */
  after(delayMs: number, run: () => void): () => void {
    const generation = this.#generation;
    const timer = this.ground.loop.after(delayMs, () => {
      if (generation === this.#generation) run();
    });
    return () => this.ground.loop.cancel(timer);
  }

  inLife<Heard extends unknown[]>(act: (...heard: Heard) => void): (...heard: Heard) => void {
    const generation = this.#generation;
    return (...heard) => {
      if (generation === this.#generation) act(...heard);
    };
  }

  /** Sets the alarm to ring at `atMs` of this object's clock, or before where it is set so. */
  ringBy(atMs: number): void {
    const dueMs = Math.max(atMs - this.skewMs, this.ground.loop.nowMs);
    if (this.#alarmAtMs !== undefined && this.#alarmAtMs <= dueMs) return;
    this.#alarmAtMs = dueMs;
    this.ground.loop.after(dueMs - this.ground.loop.nowMs, () => {
      if (this.#alarmAtMs === dueMs) this.ring();
    });
  }

  /** Rings now. The platform promises to ring at least once. */
  ring(): void {
    this.#alarmAtMs = undefined;
    const generation = this.#generation;
    this.#isRinging = true;
    this.instance.alarm?.(() => {
      if (generation === this.#generation) this.#isRinging = false;
    });
  }

  /** Takes the memory, as a deployment, an eviction or a fault does. Storage stays; who waits for an answer gets none. */
  reset(): void {
    this.ground.note(() => `${this.name} is reset`);
    this.#drop();
    for (const fail of [...this.#calls]) fail();
    this.#calls.clear();
    // An alarm that was not heard to its end rings again.
    if (this.#isRinging) this.ringBy(this.nowMs + ringAgainMs);
    this.#isRinging = false;
  }

  /** Takes the memory of an idle object; nobody notices. */
  sleep(): void {
    this.ground.note(() => `${this.name} falls asleep`);
    this.#drop();
  }

  /**
   * A call from elsewhere: `perform` runs at this object after the way there, and what it replies arrives as `done`
   * after the way back. `failed` comes instead where the object is reset meanwhile or the call is lost, before or
   * after it took effect.
   */
  call<Result>({
    perform,
    done,
    failed,
    lane,
  }: {
    lane?: Lane;
    perform: (instance: Made, reply: (result: Result) => void) => void;
    done: (result: Result) => void;
    failed: (reason: string) => void;
  }): void {
    const { tally } = this.ground;
    tally.add(`calls of ${this.kind}`);
    const fate = this.#network.fateOfCall();
    const { nowMs } = this.ground.loop;
    const atMs = Math.max(lane?.lastAtMs ?? 0, nowMs + this.#network.callMs());
    if (lane !== undefined) lane.lastAtMs = atMs;
    this.ground.loop.after(atMs - nowMs, () => {
      if (fate === "lostBefore") {
        this.ground.loop.after(this.#network.callMs(), () => failed("the call was lost on its way"));
        return;
      }
      let isOpen = true;
      const fail = () => {
        isOpen = false;
        this.ground.loop.after(this.#network.callMs(), () => failed("the object was reset"));
      };
      this.#calls.add(fail);
      perform(this.instance, (result) => {
        if (!isOpen) return;
        isOpen = false;
        this.#calls.delete(fail);
        this.ground.loop.after(this.#network.callMs(), () => {
          if (fate === "lostAfter") failed("the answer was lost on its way");
          else done(result);
        });
      });
    });
  }

  /** A call of which only the end matters; `settled` comes however it ends. */
  tell(perform: (instance: Made) => void, settled: () => void = () => {}): void {
    this.call<void>({ perform: (instance, reply) => reply(perform(instance)), done: settled, failed: settled });
  }

  /** NODE, POOL, ACCOUNT or STATUS: what stands before the name's first slash. */
  get kind(): string {
    return this.name.slice(0, this.name.indexOf("/"));
  }

  #drop(): void {
    this.#made?.dropped?.();
    this.#made = undefined;
    this.#generation += 1;
  }
}
