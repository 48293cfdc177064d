import type { AttemptId } from "../ids.ts";
import type { DeltaItem, HeldAttempt, NodeFrame } from "../wire/node-frame.ts";
import type { RouterFrame } from "../wire/router-frame.ts";

type FrameOf<Type extends RouterFrame["type"]> = Extract<RouterFrame, { type: Type }>;

/** One attempt as the toy works on it. */
interface ToyAttempt {
  flow: "open" | "ending" | "silent";
  isAcked: boolean;
  readonly pieces: DeltaItem[];
  /** The oldest piece that is kept. */
  firstSeq: number;
  /** Pieces that the whole answer has. */
  readonly length: number;
  end: NodeFrame | undefined;
  isEndSent: boolean;
}

export const toyPromptTokens = 3;

/**
 * A node's process as the wire asks for it, with answers by chance: it makes pieces of 0 to 2 tokens, keeps them until
 * they are acked, and tells them again where it is asked to. Frames are returned, and go nowhere without a socket.
 */
export class ToyNode {
  readonly #random: () => number;
  readonly #attempts = new Map<AttemptId, ToyAttempt>();
  #hasSocket: boolean;

  constructor(random: () => number, { hasSocket }: { hasSocket: boolean }) {
    this.#random = random;
    this.#hasSocket = hasSocket;
  }

  /** Attempts that it still works on. */
  get running(): AttemptId[] {
    return [...this.#attempts].flatMap(([attemptId, { end }]) => (end === undefined ? [attemptId] : []));
  }

  get held(): AttemptId[] {
    return [...this.#attempts.keys()];
  }

  task({ attemptId }: Pick<FrameOf<"task">, "attemptId">): void {
    const flow = this.#hasSocket ? "open" : "silent";
    const length = Math.floor(this.#random() * 12);
    const nothing = { isAcked: false, pieces: [], firstSeq: 0, end: undefined, isEndSent: false };
    this.#attempts.set(attemptId, { flow, length, ...nothing });
  }

  /** Works a little on an attempt: acks it, makes a piece, ends it, or now and then fails or runs out of room. */
  work(attemptId: AttemptId): NodeFrame[] {
    const attempt = this.#attempts.get(attemptId);
    if (attempt === undefined || attempt.end !== undefined) return [];
    if (this.#random() < 0.01) {
      return this.#end(attempt, { type: "fail", attemptId, reason: { code: "engine_error", message: "broke" } });
    }
    if (!attempt.isAcked) {
      attempt.isAcked = true;
      return attempt.flow === "silent" ? [] : [this.#ack(attemptId)];
    }
    if (attempt.pieces.length + attempt.firstSeq === attempt.length) return this.#commit(attemptId, attempt, "stop");
    const seq = attempt.firstSeq + attempt.pieces.length;
    const tokenIds = Array.from({ length: Math.floor(this.#random() * 3) }, () => 1);
    const item: DeltaItem = { attemptId, seq, text: `${attemptId} ${seq}`, tokenIds };
    attempt.pieces.push(item);
    this.#made.set(attemptId, (this.#made.get(attemptId) ?? 0) + tokenIds.length);
    const frames: NodeFrame[] = attempt.flow === "open" ? [{ type: "delta", items: [item] }] : [];
    if (this.#random() < 0.02) trim(attempt, attempt.firstSeq + 1);
    return frames;
  }

  lost(): void {
    this.#hasSocket = false;
    for (const attempt of this.#attempts.values()) attempt.flow = "silent";
  }

  holding(): HeldAttempt[] {
    return [...this.#attempts].map(([attemptId, { pieces, firstSeq, end, isEndSent }]) => ({
      attemptId,
      firstSeq,
      nextSeq: firstSeq + pieces.length,
      completionTokens: this.tokensMade(attemptId),
      isOver: end !== undefined,
      isEndSent,
    }));
  }

  /** Does what a frame of the router asks for. */
  hear(frame: RouterFrame): NodeFrame[] {
    switch (frame.type) {
      case "task":
        this.task(frame);
        return [];
      case "welcome":
        return this.#welcomed(frame);
      case "resume":
        return this.#tell(frame.attemptId, frame.nextSeq);
      case "cancel":
        return this.#cancel(frame.attemptId);
      case "acked":
        for (const { attemptId, nextSeq } of frame.items) {
          const attempt = this.#attempts.get(attemptId);
          if (attempt !== undefined) trim(attempt, nextSeq);
        }
        for (const attemptId of frame.over) this.#attempts.delete(attemptId);
        return [];
      default:
        return [];
    }
  }

  /** Tokens of all pieces that were ever made of an attempt. */
  tokensMade(attemptId: AttemptId): number {
    return this.#made.get(attemptId) ?? 0;
  }
  readonly #made = new Map<AttemptId, number>();

  #welcomed({ leases }: FrameOf<"welcome">): NodeFrame[] {
    this.#hasSocket = true;
    const named = new Set(leases.map(({ attemptId }) => attemptId));
    for (const attemptId of this.held) if (!named.has(attemptId)) this.#attempts.delete(attemptId);
    return leases.flatMap(({ attemptId, nextSeq }) => (nextSeq === null ? [] : this.#tell(attemptId, nextSeq)));
  }

  #tell(attemptId: AttemptId, nextSeq: number): NodeFrame[] {
    const attempt = this.#attempts.get(attemptId);
    if (attempt === undefined || nextSeq < attempt.firstSeq || nextSeq > attempt.firstSeq + attempt.pieces.length) {
      this.#attempts.delete(attemptId);
      return [{ type: "fail", attemptId, reason: { code: "lost_pieces" } }];
    }
    attempt.flow = "open";
    const items = attempt.pieces.slice(nextSeq - attempt.firstSeq);
    return [
      ...(attempt.isAcked ? [this.#ack(attemptId)] : []),
      ...(items.length > 0 ? [{ type: "delta", items } as const] : []),
      ...this.#sendEnd(attempt),
    ];
  }

  #cancel(attemptId: AttemptId): NodeFrame[] {
    const attempt = this.#attempts.get(attemptId);
    if (attempt === undefined) return [];
    const frames: NodeFrame[] = [];
    if (attempt.flow === "silent") {
      if (attempt.isAcked) frames.push(this.#ack(attemptId));
      attempt.flow = "ending";
      frames.push(...this.#sendEnd(attempt));
    }
    if (attempt.end !== undefined) return frames;
    if (!attempt.isAcked) frames.push(this.#ack(attemptId));
    attempt.isAcked = true;
    return [...frames, ...this.#commit(attemptId, attempt, "cancelled")];
  }

  #commit(attemptId: AttemptId, attempt: ToyAttempt, finishReason: "stop" | "cancelled"): NodeFrame[] {
    const counts = { promptTokens: toyPromptTokens, completionTokens: this.tokensMade(attemptId) };
    return this.#end(attempt, { type: "commit", attemptId, finishReason, ...counts });
  }

  #end(attempt: ToyAttempt, end: NodeFrame): NodeFrame[] {
    attempt.end = end;
    return attempt.flow === "silent" ? [] : this.#sendEnd(attempt);
  }

  #sendEnd(attempt: ToyAttempt): NodeFrame[] {
    if (attempt.end === undefined) return [];
    attempt.isEndSent = true;
    return [attempt.end];
  }

  #ack(attemptId: AttemptId): NodeFrame {
    return { type: "ack", attemptId, promptTokens: toyPromptTokens };
  }
}

function trim(attempt: ToyAttempt, nextSeq: number): void {
  while (attempt.firstSeq < nextSeq && attempt.pieces.length > 0) {
    attempt.pieces.shift();
    attempt.firstSeq += 1;
  }
}
