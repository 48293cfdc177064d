import { limits } from "../../core/limits.ts";
import type { NodeFrame } from "../../core/wire/node-frame.ts";

/** A message is closed once it holds this many characters: what a router keeps on the way stays small. */
const messageCharacters = 1024 * 1024;

/**
 * Frames on their way out. Those of one turn of the event loop go as one message, since a router's object takes about
 * as long for a message as for what is in it.
 */
export class Outbound {
  readonly #send: (message: string) => void;
  readonly #texts: string[] = [];
  #characters = 0;
  #flush: ReturnType<typeof setImmediate> | undefined;

  constructor(send: (message: string) => void) {
    this.#send = send;
  }

  /** Adds a frame; it goes out when this turn ends. */
  add(frame: NodeFrame): void {
    const text = JSON.stringify(frame);
    if (this.#texts.length === limits.framesPerMessage || this.#characters + text.length > messageCharacters) {
      this.flush();
    }
    this.#texts.push(text);
    this.#characters += text.length;
    this.#flush ??= setImmediate(() => this.flush());
  }

  /** Sends what waits now: one frame as itself, several as an array of them. */
  flush(): void {
    const texts = this.#take();
    if (texts.length > 0) this.#send(texts.length === 1 ? texts.join() : `[${texts.join()}]`);
  }

  /** Forgets what waits: its socket is gone. */
  drop(): void {
    this.#take();
  }

  #take(): string[] {
    clearImmediate(this.#flush);
    this.#flush = undefined;
    this.#characters = 0;
    return this.#texts.splice(0);
  }
}
