import type { AttemptId } from "../../core/ids.ts";
import type { CheckReport, Logprob } from "../../core/wire/node-frame.ts";
import type { ChatPiece } from "../engine/engine.ts";
import type { Piece } from "./held-attempts.ts";

/** What gathered since the last time: acks, and at most one piece of each answer. */
export interface Gathered {
  acks: { attemptId: AttemptId; promptTokens: number }[];
  pieces: Piece[];
}

/** What waits of one answer. */
interface Pending {
  promptTokens: number | undefined;
  text: string;
  tokenIds: number[];
  logprobs: Logprob[];
  vectors: { index: number; float32: string }[];
  vectorBytes: number;
  report: CheckReport | undefined;
  /** True before the first piece and where the last tick found none: what comes then has waited enough. */
  isAwaited: boolean;
}

/** A piece ends once it holds this much of vectors, so that a node can keep some to send again and none fills a frame. */
const vectorBytesPerPiece = 64 * 1024;
/** The tick: 20 ms for up to 8 answers at once, 100 ms from 64 on; an object takes about 1,000 messages a second. */
const tickMs = { least: 20, most: 100 };
const answersFor = { least: 8, most: 64 };

/**
 * Gathers what comes of all answers and hands it on once a tick. What a reader waits for goes on at once: an answer's
 * first token, one that was not there yet at the last tick, and the end. It does not move the tick of the others, so
 * that no gap of theirs grows by it. An ack waits for the first token as long as the shortest tick, so that they travel
 * together.
 */
export class DeltaBatcher {
  readonly #pending = new Map<AttemptId, Pending>();
  readonly #handOn: (gathered: Gathered) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #dueAtMs = Number.POSITIVE_INFINITY;
  #tickedAtMs = Number.NEGATIVE_INFINITY;

  constructor(handOn: (gathered: Gathered) => void) {
    this.#handOn = handOn;
  }

  /** Adds an answer's ack: before anything else of it. */
  addAck(attemptId: AttemptId, promptTokens: number): void {
    this.#of(attemptId).promptTokens = promptTokens;
    this.#tickBy(performance.now() + tickMs.least);
  }

  /** Adds text and tokens of an answer. */
  addText(attemptId: AttemptId, { text, tokenIds, logprobs = [] }: ChatPiece): void {
    const pending = this.#of(attemptId);
    pending.text += text;
    pending.tokenIds.push(...tokenIds);
    pending.logprobs.push(...logprobs);
    if (pending.isAwaited && isFilled(pending)) this.#sendOnly(attemptId, pending);
    else this.#tickBy(this.#nextTickMs());
  }

  /** Adds one embedding: `vector` as little-endian float32. */
  addVector(attemptId: AttemptId, index: number, vector: Float32Array): void {
    const pending = this.#of(attemptId);
    const bytes = Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
    pending.vectors.push({ index, float32: bytes.toString("base64") });
    pending.vectorBytes += bytes.length;
    if (pending.vectorBytes >= vectorBytesPerPiece) this.#sendOnly(attemptId, pending);
    else this.#tickBy(this.#nextTickMs());
  }

  /** Adds what a check came to, and hands it on at once: its end follows. */
  addReport(attemptId: AttemptId, report: CheckReport): void {
    const pending = this.#of(attemptId);
    pending.report = report;
    this.#sendOnly(attemptId, pending);
  }

  /** Hands on what an answer has left and forgets it. */
  end(attemptId: AttemptId): void {
    const pending = this.#pending.get(attemptId);
    if (pending !== undefined) this.#sendOnly(attemptId, pending);
    this.#pending.delete(attemptId);
  }

  #of(attemptId: AttemptId): Pending {
    const known = this.#pending.get(attemptId);
    if (known !== undefined) return known;
    const pending = emptyPending({ isAwaited: true });
    this.#pending.set(attemptId, pending);
    return pending;
  }

  #nextTickMs(): number {
    return this.#tickedAtMs + tickFor(this.#pending.size);
  }

  #tickBy(dueAtMs: number): void {
    if (this.#dueAtMs <= dueAtMs) return;
    clearTimeout(this.#timer);
    this.#dueAtMs = dueAtMs;
    this.#timer = setTimeout(() => this.#tick(), Math.max(1, dueAtMs - performance.now()));
  }

  #tick(): void {
    this.#dueAtMs = Number.POSITIVE_INFINITY;
    this.#tickedAtMs = performance.now();
    this.#send(this.#pending);
  }

  #sendOnly(attemptId: AttemptId, pending: Pending): void {
    // Where there are no others ticks are counted from here, so that what follows it is gathered.
    if (this.#pending.size === 1) this.#tickedAtMs = performance.now();
    this.#send([[attemptId, pending]]);
  }

  #send(answers: Iterable<readonly [AttemptId, Pending]>): void {
    const gathered: Gathered = { acks: [], pieces: [] };
    for (const [attemptId, pending] of answers) {
      const { promptTokens, text, tokenIds, logprobs, vectors, report } = pending;
      if (promptTokens !== undefined) gathered.acks.push({ attemptId, promptTokens });
      if (isFilled(pending)) {
        gathered.pieces.push({
          attemptId,
          ...(text === "" ? {} : { text }),
          ...(tokenIds.length === 0 ? {} : { tokenIds }),
          ...(logprobs.length === 0 ? {} : { logprobs }),
          ...(vectors.length === 0 ? {} : { vectors }),
          ...(report === undefined ? {} : { report }),
        });
      }
      this.#pending.set(attemptId, emptyPending({ isAwaited: !isFilled(pending) }));
    }
    if (gathered.acks.length > 0 || gathered.pieces.length > 0) this.#handOn(gathered);
  }
}

function emptyPending({ isAwaited }: { isAwaited: boolean }): Pending {
  const nothing = { text: "", tokenIds: [], logprobs: [], vectors: [], vectorBytes: 0, report: undefined };
  return { promptTokens: undefined, ...nothing, isAwaited };
}

function isFilled({ text, tokenIds, vectors, report }: Pending): boolean {
  return text !== "" || tokenIds.length > 0 || vectors.length > 0 || report !== undefined;
}

function tickFor(answers: number): number {
  const share = (answers - answersFor.least) / (answersFor.most - answersFor.least);
  return tickMs.least + (tickMs.most - tickMs.least) * Math.min(1, Math.max(0, share));
}
