import type { AttemptId } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import type { CommitFrame, DeltaItem, FailReason, HeldAttempt, NodeFrame } from "../../core/wire/node-frame.ts";
import type { RouterFrame } from "../../core/wire/router-frame.ts";

type FrameOf<Type extends NodeFrame["type"]> = Extract<NodeFrame, { type: Type }>;
type Lease = Extract<RouterFrame, { type: "welcome" }>["leases"][number];

type CommitCount = "promptTokens" | "completionTokens";

/** A piece of an answer before it has its number. */
export type Piece = Omit<DeltaItem, "seq">;

/** What follows from a word of the router: frames to send now, in order, and attempts to stop, which are forgotten. */
export interface HeldStep {
  frames: NodeFrame[];
  stop: AttemptId[];
}

/**
 * What of an attempt goes out on the present socket. `open`: everything. `ending`: its ack and its end, since it was
 * cancelled before anybody asked for its pieces. `silent`: nothing; it waits for the router to name it.
 */
type Flow = "open" | "ending" | "silent";

interface Held {
  readonly attemptId: AttemptId;
  flow: Flow;
  ack: FrameOf<"ack"> | undefined;
  /** The pieces that are kept, as they were sent; the first has number `firstSeq`, the last `nextSeq` − 1. */
  readonly pieces: DeltaItem[];
  firstSeq: number;
  nextSeq: number;
  completionTokens: number;
  sizeBytes: number;
  end: FrameOf<"commit"> | FrameOf<"fail"> | undefined;
  /** Whether the end went out on any socket, and on the present one. */
  isEndSent: boolean;
  isEndHere: boolean;
  endedAtMs: number;
}

/** Pieces of all ended attempts together: 64 full ones. Past it the oldest attempt goes. */
const endedBytes = 64 * limits.replayBytes;
/** What a piece takes besides its content, as a bound: it also keeps an attempt's pieces within one delta frame. */
const pieceBytes = 64;

/**
 * The node's replay buffer: each attempt with its ack, its pieces and its end, until the router says that it needs them
 * no more. Whatever an engine makes is recorded here, and what comes back is what goes out now: nothing while there is
 * no socket, or while the socket's welcome did not name the attempt. So an answer goes on through any number of sockets,
 * and no frame of an earlier one reaches a router that did not ask for it.
 *
 * Pure: time is passed in (milliseconds since the epoch) and frames are returned. The node's process and the simulator
 * run it.
 */
export class HeldAttempts {
  readonly #running = new Map<AttemptId, Held>();
  /** In the order in which they ended. */
  readonly #ended = new Map<AttemptId, Held>();
  #endedBytes = 0;
  /** Since when there is no socket. */
  #lostAtMs: number | null = null;
  #welcomedAtMs = 0;

  /**
   * True where nothing is left to be sent: no attempt runs, and the end of each is on the present socket. A silent one
   * is waited for as long as a reader may take to come back.
   */
  isDelivered(nowMs: number): boolean {
    if (this.#running.size > 0) return false;
    const isWaitedFor = ({ endedAtMs }: Held) =>
      this.#lostAtMs !== null || nowMs - Math.max(endedAtMs, this.#welcomedAtMs) < limits.reattachMs;
    return this.#ended.values().every((held) => held.isEndHere || !isWaitedFor(held));
  }

  /** Holds a new attempt. False where it is held already: a doubled task, for which nothing is to be done. */
  begin(attemptId: AttemptId): boolean {
    if (this.#find(attemptId) !== undefined) return false;
    this.#running.set(attemptId, {
      attemptId,
      flow: this.#lostAtMs === null ? "open" : "silent",
      ack: undefined,
      pieces: [],
      firstSeq: 0,
      nextSeq: 0,
      completionTokens: 0,
      sizeBytes: 0,
      end: undefined,
      isEndSent: false,
      isEndHere: false,
      endedAtMs: 0,
    });
    return true;
  }

  /** Records that a prompt fits. */
  ack({ attemptId, promptTokens }: Omit<FrameOf<"ack">, "type">): NodeFrame[] {
    const held = this.#running.get(attemptId);
    if (held === undefined) return [];
    held.ack = { type: "ack", attemptId, promptTokens };
    return held.flow === "silent" ? [] : [held.ack];
  }

  /** Records pieces, of any attempts, each attempt's in order. Returns one delta frame of those that go out, or none. */
  pieces(pieces: readonly Piece[]): NodeFrame[] {
    const items: DeltaItem[] = [];
    for (const piece of pieces) {
      const held = this.#running.get(piece.attemptId);
      if (held === undefined) continue;
      const { attemptId, ...content } = piece;
      const item: DeltaItem = { attemptId, seq: held.nextSeq, ...content };
      held.pieces.push(item);
      held.nextSeq += 1;
      held.completionTokens += item.tokenIds?.length ?? 0;
      held.sizeBytes += sizeOf(item);
      while (held.sizeBytes > limits.replayBytes) trimOldest(held);
      if (held.flow === "open") items.push(item);
    }
    return items.length === 0 ? [] : [{ type: "delta", items }];
  }

  /** Records that an answer is whole, or stopped. Its counts are those of its ack and its pieces. */
  commit({ attemptId, ...ending }: Omit<CommitFrame, "type" | CommitCount>, nowMs: number): NodeFrame[] {
    const held = this.#running.get(attemptId);
    if (held === undefined) return [];
    if (held.ack === undefined) throw new Error(`${attemptId} is committed before it was acked`);
    const { promptTokens } = held.ack;
    const { completionTokens } = held;
    held.sizeBytes += 8 * (ending.promptIds?.length ?? 0);
    return this.#end(held, { type: "commit", attemptId, ...ending, promptTokens, completionTokens }, nowMs);
  }

  /** Records that an attempt came to nothing. */
  fail({ attemptId, reason }: { attemptId: AttemptId; reason: FailReason }, nowMs: number): NodeFrame[] {
    const held = this.#running.get(attemptId);
    return held === undefined ? [] : this.#end(held, { type: "fail", attemptId, reason }, nowMs);
  }

  /** The socket is gone, or none was had. What is made from now on is kept for the next. */
  lost(nowMs: number): void {
    this.#lostAtMs ??= nowMs;
    for (const held of this.#all()) {
      held.flow = "silent";
      held.isEndHere = false;
    }
  }

  /** What a hello says is held: running attempts first, then the latest that ended; at most `limits.heldAttempts`. */
  holding(): HeldAttempt[] {
    return [...this.#running.values(), ...[...this.#ended.values()].toReversed()]
      .slice(0, limits.heldAttempts)
      .map(({ attemptId, firstSeq, nextSeq, completionTokens, end, isEndSent }) => ({
        attemptId,
        firstSeq,
        nextSeq,
        completionTokens,
        isOver: end !== undefined,
        isEndSent,
      }));
  }

  /**
   * A fresh socket is welcome, and its router names the attempts that go on. Those with a number are told from there;
   * those with null stay silent until {@link resume}; the others are over. One that is named and not held, or whose
   * pieces are gone, fails as `lost_pieces`, so that nobody waits for it.
   */
  welcomed(leases: readonly Lease[], nowMs: number): HeldStep {
    this.#lostAtMs = null;
    this.#welcomedAtMs = nowMs;
    const step: HeldStep = { frames: [], stop: [] };
    const named = new Set(leases.map(({ attemptId }) => attemptId));
    for (const { attemptId } of [...this.#all()]) if (!named.has(attemptId)) this.#drop(attemptId, step);
    for (const { attemptId, nextSeq } of leases) {
      if (nextSeq !== null) this.#tell({ attemptId, nextSeq }, step);
      else if (this.#find(attemptId) === undefined) step.frames.push(lostPieces(attemptId));
    }
    return step;
  }

  /** The router wants an attempt's ack, its pieces from `nextSeq` and its end once more; they go on from there. */
  resume({ attemptId, nextSeq }: { attemptId: AttemptId; nextSeq: number }): HeldStep {
    const step: HeldStep = { frames: [], stop: [] };
    this.#tell({ attemptId, nextSeq }, step);
    return step;
  }

  /** The router will not ask again for pieces before each `nextSeq`, nor for anything of the attempts that are `over`. */
  acked({ items, over }: Omit<Extract<RouterFrame, { type: "acked" }>, "type">): HeldStep {
    const step: HeldStep = { frames: [], stop: [] };
    for (const { attemptId, nextSeq } of items) {
      const held = this.#find(attemptId);
      if (held === undefined) continue;
      const before = held.sizeBytes;
      while (held.firstSeq < Math.min(nextSeq, held.nextSeq)) trimOldest(held);
      if (held.end !== undefined) this.#endedBytes -= before - held.sizeBytes;
    }
    for (const attemptId of over) this.#drop(attemptId, step);
    return step;
  }

  /**
   * The router wants no more of an attempt than its end, which its owner makes now if it still runs. Returns what goes
   * out at once: the ack and end of one that was silent; nothing of one whose end was sent.
   */
  cancel(attemptId: AttemptId): NodeFrame[] {
    const held = this.#find(attemptId);
    if (held === undefined || held.flow !== "silent" || this.#lostAtMs !== null) return [];
    held.flow = "ending";
    return [...(held.ack === undefined ? [] : [held.ack]), ...sendEnd(held)];
  }

  /**
   * Forgets what ended `limits.leaseGraceMs` ago or earlier, and returns the running attempts whose socket has been
   * gone for as long: nobody waits for them, and they are forgotten too.
   */
  expire(nowMs: number): AttemptId[] {
    const step: HeldStep = { frames: [], stop: [] };
    for (const { attemptId, endedAtMs } of [...this.#ended.values()]) {
      if (nowMs - endedAtMs >= limits.leaseGraceMs) this.#drop(attemptId, step);
    }
    if (this.#lostAtMs !== null && nowMs - this.#lostAtMs >= limits.leaseGraceMs) {
      for (const attemptId of [...this.#running.keys()]) this.#drop(attemptId, step);
    }
    return step.stop;
  }

  *#all(): Generator<Held> {
    yield* this.#running.values();
    yield* this.#ended.values();
  }

  #find(attemptId: AttemptId): Held | undefined {
    return this.#running.get(attemptId) ?? this.#ended.get(attemptId);
  }

  #end(held: Held, end: FrameOf<"commit"> | FrameOf<"fail">, nowMs: number): NodeFrame[] {
    held.end = end;
    held.endedAtMs = nowMs;
    this.#running.delete(held.attemptId);
    this.#ended.set(held.attemptId, held);
    this.#endedBytes += held.sizeBytes;
    for (const [attemptId] of this.#ended) {
      if (this.#endedBytes <= endedBytes && this.#ended.size <= limits.heldAttempts) break;
      this.#forgetEnded(attemptId);
    }
    return held.flow === "silent" ? [] : sendEnd(held);
  }

  /** Sends an attempt from a piece on, and lets it flow. */
  #tell({ attemptId, nextSeq }: { attemptId: AttemptId; nextSeq: number }, step: HeldStep): void {
    const held = this.#find(attemptId);
    if (held === undefined || nextSeq < held.firstSeq || nextSeq > held.nextSeq) {
      this.#drop(attemptId, step);
      step.frames.push(lostPieces(attemptId));
      return;
    }
    held.flow = "open";
    const items = held.pieces.slice(nextSeq - held.firstSeq);
    if (held.ack !== undefined) step.frames.push(held.ack);
    if (items.length > 0) step.frames.push({ type: "delta", items });
    step.frames.push(...sendEnd(held));
  }

  #drop(attemptId: AttemptId, step: HeldStep): void {
    if (this.#running.delete(attemptId)) step.stop.push(attemptId);
    else this.#forgetEnded(attemptId);
  }

  #forgetEnded(attemptId: AttemptId): void {
    this.#endedBytes -= this.#ended.get(attemptId)?.sizeBytes ?? 0;
    this.#ended.delete(attemptId);
  }
}

function lostPieces(attemptId: AttemptId): NodeFrame {
  return { type: "fail", attemptId, reason: { code: "lost_pieces" } };
}

/** The attempt's end, if there is one, on its way. */
function sendEnd(held: Held): NodeFrame[] {
  if (held.end === undefined) return [];
  held.isEndSent = true;
  held.isEndHere = true;
  return [held.end];
}

function trimOldest(held: Held): void {
  const oldest = held.pieces.shift();
  if (oldest === undefined) throw new Error(`${held.attemptId} has no piece to trim`);
  held.firstSeq += 1;
  held.sizeBytes -= sizeOf(oldest);
}

/**
 * Bytes that a piece takes here, from above: two for each character, eight for each token, 64 for each probability, 24
 * for each finding.
 */
function sizeOf({ text, tokenIds, logprobs = [], vectors, report }: DeltaItem): number {
  const probabilities = logprobs.reduce((sum, { top }) => sum + 1 + top.length, 0);
  const findings = report?.findings.length ?? 0;
  const textBytes = 2 * (text?.length ?? 0) + 8 * (tokenIds?.length ?? 0) + 64 * probabilities + 24 * findings;
  return (vectors ?? []).reduce((sum, { float32 }) => sum + pieceBytes + float32.length, pieceBytes + textBytes);
}
