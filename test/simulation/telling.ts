import type { AttemptEvent } from "../../core/lease/attempt-event.ts";
import type { Start } from "../../core/lease/lease-effect.ts";
import type { Ground } from "./ground.ts";
import { Line } from "./network.ts";

/** What a run or an attach brings back, with the stream of the rest. */
export interface Told {
  kind: "accepted";
  promptTokens: number;
  early: readonly AttemptEvent[];
  events: TellingStream | null;
}

type Item = { events: readonly AttemptEvent[] } | "end" | "broken";

/** A stream of events from a node's object to a Worker: in order, until it ends, breaks, or its reader goes. */
export class TellingStream {
  readonly #ground: Ground;
  readonly #line: Line<Item>;
  /** What came before anybody listened. */
  #early: Item[] | undefined = [];
  #hear: (item: Item) => void = () => {};
  #isLeft = false;

  constructor(ground: Ground) {
    this.#ground = ground;
    this.#line = new Line<Item>(ground, {
      delayMs: () => ground.dice.whole(1, 3),
      arrive: (item) => {
        if (this.#early !== undefined) this.#early.push(item);
        else if (!this.#isLeft) this.#hear(item);
      },
    });
  }

  /** True once the reader is gone: a write finds out. */
  get isLeft(): boolean {
    return this.#isLeft;
  }

  /** The Worker reads. `broken` also comes where the stream ends without an end of the attempt. */
  listen({ told, broken }: { told: (events: readonly AttemptEvent[]) => void; broken: () => void }): void {
    this.#hear = (item) => {
      if (typeof item === "object") told(item.events);
      else broken();
    };
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const item of early) if (!this.#isLeft) this.#hear(item);
  }

  /** The reader goes without a word. */
  leave(): void {
    this.#isLeft = true;
  }

  write(events: readonly AttemptEvent[]): void {
    this.#ground.tally.add("messages to Workers");
    this.#line.send({ events });
  }

  close(): void {
    this.#line.send("end");
  }

  /** The writer's memory is gone: what is on its way may be lost with it. */
  break(): void {
    if (this.#ground.dice.isChance(0.5)) this.#line.cut();
    if (this.#isLeft) return;
    this.#ground.loop.after(this.#ground.dice.whole(4, 8), () => {
      if (this.#early !== undefined) this.#early.push("broken");
      else if (!this.#isLeft) this.#hear("broken");
    });
  }
}

/** Who reads one attempt, as `edge/objects/reader.ts` has it. */
export class ReaderShell {
  readonly isWhole: boolean;
  readonly #ground: Ground;
  readonly #onUnread: () => void;
  readonly #onStart: (start: Start) => void;
  #early: AttemptEvent[] = [];
  #pending: AttemptEvent[] = [];
  #stream: TellingStream | undefined;
  #isOver = false;
  #isStarted = false;
  #whenEnded: () => void = () => {};

  constructor(ground: Ground, options: { isWhole: boolean; onUnread: () => void; onStart: (start: Start) => void }) {
    this.#ground = ground;
    this.isWhole = options.isWhole;
    this.#onUnread = options.onUnread;
    this.#onStart = options.onStart;
  }

  /** True while something that was told still waits here: it is lost with the object's memory. */
  get isBehind(): boolean {
    return this.#stream === undefined;
  }

  /** The attempt had begun before this reader came: no start follows. */
  begun(promptTokens: number, hand: (told: Told) => void): void {
    this.#isStarted = true;
    this.telling(promptTokens, hand);
  }

  start(start: Start): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#onStart(start);
  }

  tell(event: AttemptEvent): void {
    if (this.#isOver) return;
    if (this.#stream === undefined) this.#early.push(event);
    else this.#pending.push(event);
    if (event.type !== "delta") this.#end();
  }

  flush(): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    if (this.#pending.length > 0) {
      if (stream.isLeft) {
        this.#stream = undefined;
        this.#pending = [];
        if (!this.#isOver) this.#onUnread();
        return;
      }
      stream.write(this.#pending);
      this.#pending = [];
    }
    if (!this.#isOver) return;
    stream.close();
    this.#stream = undefined;
  }

  hangUp(): void {
    this.start({ kind: "failed", how: "socketGone", reason: "another reader took over" });
    this.#end();
    this.flush();
  }

  /** Hands over what is there and a stream of the rest; for a whole answer once that has ended. */
  telling(promptTokens: number, hand: (told: Told) => void): void {
    const give = () => {
      const early = this.#early;
      this.#early = [];
      if (!this.#isOver) this.#stream = new TellingStream(this.#ground);
      hand({ kind: "accepted", promptTokens, early, events: this.#stream ?? null });
    };
    if (this.isWhole && !this.#isOver) this.#whenEnded = give;
    else give();
  }

  /** The object's memory is gone. */
  dropped(): void {
    this.#stream?.break();
  }

  #end(): void {
    this.#isOver = true;
    const give = this.#whenEnded;
    this.#whenEnded = () => {};
    // At the end of the turn, when all that belongs to it was told.
    if (this.isWhole) give();
  }
}
