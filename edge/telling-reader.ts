import { type AttemptEvent, attemptEventSchema } from "../core/lease/attempt-event.ts";

/**
 * Reads what a node's object tells of an attempt: lines of JSON, one event each. Reads by hand, since a stream of
 * decoded text costs more than all else here together.
 */
export class TellingReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #rest = "";
  #isLeft = false;

  constructor(events: ReadableStream<Uint8Array>) {
    this.#reader = events.getReader();
  }

  /** The events that are there, in order, at least one; `undefined` once it has stopped. Throws where it broke. */
  async next(): Promise<AttemptEvent[] | undefined> {
    for (;;) {
      const value = await this.#read();
      if (value === undefined) return undefined;
      const lines = (this.#rest + this.#decoder.decode(value, { stream: true })).split("\n");
      this.#rest = lines.pop() ?? "";
      if (lines.length > 0) return lines.map((line) => attemptEventSchema.parse(JSON.parse(line)));
    }
  }

  /** Stops reading: a {@link next} under way comes to `undefined`. */
  cancel(): void {
    this.#isLeft = true;
    this.#reader.cancel().catch((error: unknown) => {
      console.debug("edge: a telling had broken before it was left", { error: String(error) });
    });
  }

  async #read(): Promise<Uint8Array | undefined> {
    try {
      return (await this.#reader.read()).value;
    } catch (error) {
      // The platform breaks a read under way where the standard says that it ends.
      if (this.#isLeft) return undefined;
      throw error;
    }
  }
}
