import type { AttemptEvent } from "../../core/lease/attempt-event.ts";
import type { Start } from "../../core/lease/lease-effect.ts";
import { encodeAttemptEvents } from "./attempt-stream.ts";
import type { Telling } from "./run.ts";

/**
 * Who reads one attempt: the Worker that has the caller. What is told before anybody asks for the stream is kept and
 * handed over as plain data, since a stream between objects costs more than a short answer does.
 */
export class Reader {
  readonly isWhole: boolean;
  /** Resolves once the node has the task or the attempt came to nothing. */
  readonly started: Promise<Start>;
  #early: AttemptEvent[] = [];
  /** Told within one turn, to be sent as one piece. */
  #pending: AttemptEvent[] = [];
  #controller: ReadableByteStreamController | undefined;
  #isOver = false;
  #resolveStart: (start: Start) => void = () => {};
  #resolveEnd: () => void = () => {};
  readonly #ended: Promise<void>;
  readonly #onUnread: () => void;

  /** `onUnread` is called when the stream's reader goes away before the end. */
  constructor({ isWhole, onUnread }: { isWhole: boolean; onUnread: () => void }) {
    this.isWhole = isWhole;
    this.#onUnread = onUnread;
    this.started = new Promise((resolve) => {
      this.#resolveStart = resolve;
    });
    this.#ended = new Promise((resolve) => {
      this.#resolveEnd = resolve;
    });
  }

  /** True while something that was told still waits here: it is lost with the object's memory. */
  get isBehind(): boolean {
    return this.#controller === undefined || (this.#controller.desiredSize ?? 0) < 0;
  }

  start(start: Start): void {
    this.#resolveStart(start);
  }

  tell(event: AttemptEvent): void {
    if (this.#isOver) return;
    if (this.#controller === undefined) this.#early.push(event);
    else this.#pending.push(event);
    if (event.type !== "delta") this.#end();
  }

  /** Sends what this turn told. */
  flush(): void {
    if (this.#pending.length > 0) this.#controller?.enqueue(encodeAttemptEvents(this.#pending.splice(0)));
    if (!this.#isOver) return;
    this.#controller?.close();
    this.#controller = undefined;
  }

  /** Stops telling without an end: another reader has come, or the lease went where no reader follows. */
  hangUp(): void {
    this.#resolveStart({ kind: "failed", how: "socketGone", reason: "another reader took over" });
    this.#end();
    this.flush();
  }

  /** Everything told: for a whole answer once it has ended, else what is there now and a stream of the rest. */
  async telling(promptTokens: number): Promise<Telling> {
    if (this.isWhole) await this.#ended;
    const early = this.#early;
    this.#early = [];
    if (this.#isOver) return { promptTokens, early, events: null };
    const events = new ReadableStream({
      type: "bytes",
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => {
        this.#controller = undefined;
        if (!this.#isOver) this.#onUnread();
      },
    });
    return { promptTokens, early, events };
  }

  #end(): void {
    this.#isOver = true;
    this.#resolveEnd();
  }
}
