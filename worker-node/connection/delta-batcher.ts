import type { AttemptId } from "../../core/ids.ts";
import type { DeltaItem } from "../../core/wire/node-frame.ts";

/** What an engine gave since the last frame. */
interface Pending {
  text: string;
  tokenIds: number[];
  vectors: { index: number; float32: string }[];
  vectorBytes: number;
  nextSeq: number;
}

/** A frame goes out before the tick once this much of vectors waits, so that no frame nears the wire's bound. */
const vectorBytesPerFrame = 512 * 1024;
/** The tick: 20 ms for up to 8 answers at once, 100 ms from 64 on; an object takes about 1,000 messages a second. */
const tickMs = { least: 20, most: 100 };
const answersFor = { least: 8, most: 64 };

/**
 * Gathers pieces of all answers into one frame a tick. An answer's first piece goes out at once: it is what a reader
 * waits for.
 */
export class DeltaBatcher {
  readonly #pending = new Map<AttemptId, Pending>();
  readonly #send: (items: DeltaItem[]) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(send: (items: DeltaItem[]) => void) {
    this.#send = send;
  }

  /** Adds text and tokens of an answer. */
  addText(attemptId: AttemptId, { text, tokenIds }: { text: string; tokenIds: readonly number[] }): void {
    const pending = this.#of(attemptId);
    pending.text += text;
    pending.tokenIds.push(...tokenIds);
    if (pending.nextSeq === 0) this.#flush();
    else this.#schedule();
  }

  /** Adds one embedding: `vector` as little-endian float32. */
  addVector(attemptId: AttemptId, index: number, vector: Float32Array): void {
    const pending = this.#of(attemptId);
    const bytes = Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
    pending.vectors.push({ index, float32: bytes.toString("base64") });
    pending.vectorBytes += bytes.length;
    if (pending.vectorBytes >= vectorBytesPerFrame) this.#flush();
    else this.#schedule();
  }

  /** Sends what an answer has left and forgets it. */
  end(attemptId: AttemptId): void {
    const pending = this.#pending.get(attemptId);
    if (pending !== undefined && isFilled(pending)) this.#flush();
    this.#pending.delete(attemptId);
  }

  /** Drops everything: the socket is gone. */
  clear(): void {
    this.#pending.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #of(attemptId: AttemptId): Pending {
    const known = this.#pending.get(attemptId);
    if (known !== undefined) return known;
    const pending: Pending = { text: "", tokenIds: [], vectors: [], vectorBytes: 0, nextSeq: 0 };
    this.#pending.set(attemptId, pending);
    return pending;
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.#flush(), tickFor(this.#pending.size));
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const items: DeltaItem[] = [];
    for (const [attemptId, pending] of this.#pending) {
      if (!isFilled(pending)) continue;
      items.push({
        attemptId,
        seq: pending.nextSeq,
        ...(pending.text === "" ? {} : { text: pending.text }),
        ...(pending.tokenIds.length === 0 ? {} : { tokenIds: pending.tokenIds }),
        ...(pending.vectors.length === 0 ? {} : { vectors: pending.vectors }),
      });
      this.#pending.set(attemptId, {
        text: "",
        tokenIds: [],
        vectors: [],
        vectorBytes: 0,
        nextSeq: pending.nextSeq + 1,
      });
    }
    if (items.length > 0) this.#send(items);
  }
}

function isFilled(pending: Pending): boolean {
  return pending.text !== "" || pending.tokenIds.length > 0 || pending.vectors.length > 0;
}

function tickFor(answers: number): number {
  const share = (answers - answersFor.least) / (answersFor.most - answersFor.least);
  return tickMs.least + (tickMs.most - tickMs.least) * Math.min(1, Math.max(0, share));
}
