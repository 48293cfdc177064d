import type { AttemptId, NodeId } from "../ids.ts";
import type { TaskRecord } from "../record/entry.ts";
import { stepAttempt } from "../task/attempt.ts";
import type { CommitFrame, DeltaItem, FailReason, HeldAttempt } from "../wire/node-frame.ts";
import type { RouterFrame } from "../wire/router-frame.ts";
import { AckRounds } from "./ack-rounds.ts";
import type { AttemptEnd } from "./attempt-event.ts";
import {
  commitProblem,
  isAwaited,
  isGivenUpUnasked,
  type KeptLease,
  keptLease,
  type Lease,
  type LeaseTerms,
  newLease,
  recoveredLease,
  replayedLease,
  seek,
  takePiece,
} from "./lease.ts";
import { deadlineOf } from "./lease-deadline.ts";
import type { Attached, LeaseEffect, ReaderWish } from "./lease-effect.ts";
import { LeaseEnds } from "./lease-ends.ts";
import { SocketWatch } from "./socket-watch.ts";
import { type Tombstone, Tombstones } from "./tombstones.ts";

/** A lease that still runs after this is made known to storage; shorter ones cost no row of their own. */
const keepAfterMs = 20;

/**
 * All leases of one node: what it works on, who reads it, and how each ends. Pieces pass through and are only counted;
 * the node's process keeps them until they are acked, so that a reader or an object that comes back can have them
 * again. Time is passed in and effects are returned: the node's object and the simulator run the same book.
 */
export class LeaseBook {
  readonly #nodeId: NodeId;
  readonly #leases = new Map<AttemptId, Lease>();
  readonly #tombstones = new Tombstones();
  readonly #acks = new AckRounds();
  readonly #ends = new LeaseEnds({ leases: this.#leases, tombstones: this.#tombstones, acks: this.#acks });
  readonly #socket: SocketWatch;

  /** `hasSocket`: an object that slept finds its node's socket where it was. */
  constructor(nodeId: NodeId, { hasSocket }: { hasSocket: boolean }) {
    this.#nodeId = nodeId;
    this.#socket = new SocketWatch({ isThere: hasSocket });
  }

  /** Leases that are open, in the order in which they began. */
  get leases(): IteratorObject<Lease> {
    return this.#leases.values();
  }

  get size(): number {
    return this.#leases.size;
  }

  /** Leases and tombstones that storage kept, after a reset of the object. `ended` are records not yet in Postgres. */
  recover(
    { open, ended }: { open: readonly KeptLease[]; ended: readonly { attemptId: AttemptId; record: TaskRecord }[] },
    nowMs: number,
  ): void {
    if (open.length > 0) this.#noteBusy(nowMs);
    const socketLostAtMs = this.#socket.isThere ? null : nowMs;
    for (const kept of open) this.#leases.set(kept.terms.attemptId, recoveredLease(kept, { nowMs, socketLostAtMs }));
    for (const { attemptId, record } of ended) this.#tombstones.recover(attemptId, record, nowMs);
  }

  /** A task goes to the node. The caller has a socket and has taken a credit. */
  open(terms: LeaseTerms, task: Extract<RouterFrame, { type: "task" }>, nowMs: number): LeaseEffect[] {
    this.#noteBusy(nowMs);
    this.#leases.set(terms.attemptId, newLease(terms, this.#nodeId, nowMs));
    return [{ type: "send", frame: task }];
  }

  /**
   * A reader comes back for an attempt, with the pieces before `nextSeq`. It takes the place of any other; the pieces
   * after that follow as soon as the node sends them again.
   */
  attach(wish: ReaderWish, nowMs: number): { attached: Attached; effects: LeaseEffect[] } {
    const { attemptId, nextSeq } = wish;
    const stone = this.#tombstones.get(attemptId, nowMs);
    if (stone !== undefined && (stone.end.type === "failed" || stone.nextSeq === nextSeq)) {
      const { promptTokens } = stone.lease.attempt;
      return { attached: { kind: "over", promptTokens, end: stone.end }, effects: [] };
    }
    const lease = stone === undefined ? this.#leases.get(attemptId) : this.#replay(stone, nowMs);
    if (lease === undefined || lease.ending !== null) return { attached: { kind: "unknown" }, effects: [] };
    const isAcked = lease.attempt.ackedAtMs !== null;
    const wantsEarlier = lease.nextSeq === null || nextSeq < lease.nextSeq;
    // Whether a node that has not acked answers a second request with an ack of its own cannot be known, and no reader
    // goes back behind what it asked for.
    if (wantsEarlier && !isAcked && lease.acksDue > 0) return { attached: { kind: "unknown" }, effects: [] };
    const effects: LeaseEffect[] = [{ type: "hangUp", attemptId }];
    lease.detachedAtMs = null;
    lease.hadReader = true;
    lease.held = null;
    lease.heardAtMs = nowMs;
    if (lease.nextSeq !== nextSeq) {
      seek(lease, wish);
      // A telling that is on its way and begins earlier brings them too.
      effects.push(...this.#rewind(lease, nextSeq, { isOnItsWay: lease.acksDue > 0 && !wantsEarlier }));
    }
    return { attached: { kind: "open", promptTokens: lease.attempt.promptTokens, isAcked }, effects };
  }

  /** Nobody reads the attempt any more, and nobody said why: the reader has a moment to come back. */
  detach(attemptId: AttemptId, nowMs: number): void {
    const lease = this.#leases.get(attemptId);
    if (lease !== undefined) lease.detachedAtMs ??= nowMs;
  }

  /**
   * The caller is gone: the node stops, and what it has done is on record here. `isKnown` is false where the attempt is
   * unknown or over, so that its record is somebody else's.
   */
  cancel(attemptId: AttemptId, nowMs: number): { isKnown: boolean; effects: LeaseEffect[] } {
    const lease = this.#leases.get(attemptId);
    if (lease === undefined || lease.isReplay) return { isKnown: false, effects: [] };
    return { isKnown: true, effects: this.#ends.stop(lease, "cancelled", nowMs) };
  }

  /** The node has understood the task and its prompt fits. */
  ack(attemptId: AttemptId, promptTokens: number, nowMs: number): LeaseEffect[] {
    const lease = this.#leases.get(attemptId);
    if (lease === undefined) return [];
    lease.heardAtMs = nowMs;
    lease.acksDue = Math.max(0, lease.acksDue - 1);
    // Every telling of the pieces begins with an ack; the first counts.
    if (lease.attempt.ackedAtMs !== null) return [];
    // Who waited for the beginning of what was cancelled has been told.
    const isHeard = isAwaited(lease) && lease.ending === null;
    lease.attempt = stepAttempt(lease.attempt, { type: "ack", promptTokens }, nowMs) ?? lease.attempt;
    return isHeard ? [{ type: "start", attemptId, start: { kind: "acked", promptTokens } }] : [];
  }

  /** A piece of an answer. */
  delta(item: DeltaItem, nowMs: number): LeaseEffect[] {
    const lease = this.#leases.get(item.attemptId);
    if (lease === undefined) return [];
    lease.heardAtMs = nowMs;
    if (lease.nextSeq === null || lease.acksDue > 0 || item.seq < lease.nextSeq) return [];
    if (item.seq > lease.nextSeq) {
      if (this.#mayBeOld(lease)) return [];
      return this.#ends.broke(lease, `delta ${item.seq} came where ${lease.nextSeq} was due`, nowMs);
    }
    const problem = takePiece(lease, item, nowMs);
    if (problem !== undefined) return this.#ends.broke(lease, problem, nowMs);
    // Counted for the bill, and nobody's to read.
    if (lease.ending !== null) return [];
    const { attemptId, ...piece } = item;
    return [{ type: "tell", attemptId, event: { type: "delta", ...piece } }];
  }

  /** The node's word that the answer is whole. Its counts must be those of what it sent. */
  commit(frame: CommitFrame, nowMs: number): LeaseEffect[] {
    const { attemptId, finishReason, stopSequence, promptTokens, completionTokens, commitment, promptIds } = frame;
    const lease = this.#leases.get(attemptId);
    if (lease === undefined) return [];
    lease.heardAtMs = nowMs;
    lease.isOverAtNode = true;
    const { ending } = lease;
    const cancel = { type: "cancel", reason: ending?.state ?? finishReason, promptTokens, completionTokens } as const;
    if (lease.nextSeq === null) {
      // Its pieces were not seen here: the counts are the node's own.
      lease.completionTokens = completionTokens;
      return ending === null ? [] : this.#ends.close(lease, cancel, nowMs);
    }
    if (lease.acksDue > 0) return [];
    const problem = commitProblem(lease, frame);
    if (problem !== undefined) return this.#mayBeOld(lease) ? [] : this.#ends.broke(lease, problem, nowMs);
    if (ending !== null) return this.#ends.close(lease, cancel, nowMs);
    if (finishReason === "cancelled") return this.#givenUp(lease, completionTokens, nowMs);
    const stop = stopSequence === undefined ? {} : { stopSequence };
    const stands = commitment === undefined ? {} : { commitment };
    const prompt = promptIds === undefined ? {} : { promptIds };
    const counts = { promptTokens, completionTokens };
    const end: AttemptEnd = { type: "committed", finishReason, ...stop, ...counts, ...stands, ...prompt };
    if (lease.isReplay) return this.#ends.bury(lease, end, nowMs);
    const next = stepAttempt(lease.attempt, { type: "commit", completionTokens }, nowMs);
    if (next === undefined) return this.#ends.broke(lease, `commit in state ${lease.attempt.state}`, nowMs);
    lease.attempt = next;
    lease.finishReason = finishReason;
    return this.#ends.recorded(lease, end, nowMs);
  }

  /** The node's no. */
  fail(attemptId: AttemptId, reason: FailReason, nowMs: number): LeaseEffect[] {
    const lease = this.#leases.get(attemptId);
    if (lease === undefined) return [];
    const isFault = reason.code === "context_length_exceeded" || reason.code === "unsupported";
    const detail = "message" in reason ? `${reason.code}: ${reason.message}` : reason.code;
    // The pieces are gone as they are with a node that died; nothing is wrong with this one.
    const how = reason.code === "lost_pieces" ? "socketGone" : "refuse";
    return this.#ends.end(
      lease,
      { how, detail, ...(isFault ? { start: { kind: "refused", fault: reason } } : {}) },
      nowMs,
    );
  }

  /**
   * The node's socket is gone, as of `lostAtMs`. What a reader has seen nothing of goes elsewhere at once; the rest
   * waits for the node to come back.
   */
  socketLost(lostAtMs: number, nowMs: number, reason: string): LeaseEffect[] {
    this.#socket.lost();
    const effects: LeaseEffect[] = [];
    for (const lease of [...this.#leases.values()]) {
      const hasBegun = lease.nextSeq === null || lease.nextSeq > 0;
      if (lease.detachedAtMs === null && lease.ending === null && !hasBegun) {
        effects.push(...this.#ends.end(lease, { how: "socketGone", detail: reason }, nowMs));
      } else {
        lease.socketLostAtMs ??= lostAtMs;
        lease.acksDue = 0;
      }
    }
    return effects;
  }

  /**
   * The node's process is here on a fresh socket with what it holds; a fresh process holds nothing. Returns the
   * attempts that go on, for the `welcome`, which must go out before the effects are performed.
   */
  welcome(
    holding: readonly HeldAttempt[],
    nowMs: number,
  ): { leases: { attemptId: AttemptId; nextSeq: number | null }[]; effects: LeaseEffect[] } {
    this.#socket.opened(nowMs);
    const held = new Map(holding.map((attempt) => [attempt.attemptId, attempt]));
    const leases: { attemptId: AttemptId; nextSeq: number | null }[] = [];
    const effects: LeaseEffect[] = [];
    for (const lease of [...this.#leases.values()]) {
      const { attemptId } = lease.terms;
      const attempt = held.get(attemptId);
      if (attempt === undefined) {
        effects.push(...this.#ends.end(lease, { how: "socketGone", detail: "the node came back without it" }, nowMs));
        continue;
      }
      if (attempt.isEndSent && isGivenUpUnasked(lease)) lease.ending = null;
      if (attempt.firstSeq > (lease.nextSeq ?? attempt.firstSeq)) {
        effects.push(
          ...this.#ends.end(
            lease,
            { how: "socketGone", detail: "the node no longer has the pieces that are due" },
            nowMs,
          ),
        );
        continue;
      }
      if (lease.ending !== null) {
        // It need not tell its pieces, only what it had.
        lease.nextSeq = null;
        lease.ending.sinceMs = nowMs;
        effects.push({ type: "send", frame: { type: "cancel", attemptId } });
      }
      lease.socketLostAtMs = null;
      lease.acksDue = lease.nextSeq === null ? 0 : 1;
      lease.heardAtMs = nowMs;
      lease.isOverAtNode = attempt.isOver;
      // Until its reader is back the counts are the node's own.
      if (lease.nextSeq === null) {
        lease.completionTokens = attempt.completionTokens;
        lease.held = attempt;
      }
      leases.push({ attemptId, nextSeq: lease.nextSeq });
    }
    // A node may hold the pieces of an attempt that is on record, and its reader may not have them yet.
    for (const { attemptId } of holding) {
      if (!this.#leases.has(attemptId) && this.#tombstones.get(attemptId, nowMs)?.end.type === "committed") {
        leases.push({ attemptId, nextSeq: null });
      }
    }
    return { leases, effects };
  }

  /**
   * What time has settled. `lastSignMs` is when the node's socket last gave any sign; `isBehind` names attempts of which
   * something told has not yet reached the reader.
   */
  tick(nowMs: number, lastSignMs: number, isBehind: (attemptId: AttemptId) => boolean = () => false): LeaseEffect[] {
    const effects: LeaseEffect[] = [];
    this.#socket.noteSign(lastSignMs);
    if (this.#owesSigns() && nowMs >= this.#socket.silentAtMs) {
      const { signAtMs } = this.#socket;
      effects.push({ type: "dropSocket" }, ...this.socketLost(signAtMs, nowMs, "the node gave no sign"));
    }
    for (const lease of [...this.#leases.values()]) {
      if (!lease.isKept && !lease.isReplay && nowMs - lease.attempt.assignedAtMs >= keepAfterMs) {
        lease.isKept = true;
        effects.push({ type: "keep", kept: keptLease(lease) });
      }
      effects.push(...this.#settle(lease, nowMs));
    }
    this.#tombstones.expire(nowMs);
    if (nowMs >= this.#acks.dueMs) {
      const frame = this.#acks.round(this.#leases, { tombstones: this.#tombstones, isBehind }, nowMs);
      if (frame !== undefined && this.#socket.isThere) effects.push({ type: "send", frame });
    }
    return effects;
  }

  /**
   * When {@link tick} next has something to do, milliseconds since the epoch and never before now; `undefined` while
   * nothing is open. What the node gave signs of meanwhile is found out then.
   */
  nextTickMs(nowMs: number): number | undefined {
    if (this.#leases.size === 0 && this.#acks.dueMs === Number.POSITIVE_INFINITY) return undefined;
    let dueMs = this.#acks.dueMs;
    if (this.#owesSigns()) dueMs = Math.min(dueMs, this.#socket.silentAtMs);
    for (const lease of this.#leases.values()) {
      if (!lease.isKept && !lease.isReplay) dueMs = Math.min(dueMs, lease.attempt.assignedAtMs + keepAfterMs);
      dueMs = Math.min(dueMs, deadlineOf(lease).atMs);
    }
    return Math.max(dueMs, nowMs);
  }

  #settle(lease: Lease, nowMs: number): LeaseEffect[] {
    const { atMs, type } = deadlineOf(lease);
    if (nowMs < atMs) return [];
    switch (type) {
      case "answerDue":
        return this.#ends.unanswered(lease, nowMs);
      case "ackDue":
        return this.#ends.end(lease, { how: "deadline", detail: "no ack in time" }, nowMs);
      case "silent":
        return this.#ends.end(lease, { how: "deadline", detail: "silent for too long" }, nowMs);
      case "socketGone":
        return this.#ends.end(lease, { how: "socketGone", detail: "the node's socket did not come back" }, nowMs);
      case "readerGone":
        return this.#unread(lease, nowMs);
    }
  }

  /** No reader came back. The answer counts as delivered only where the node had ended it while all were there. */
  #unread(lease: Lease, nowMs: number): LeaseEffect[] {
    const { held } = lease;
    if (held === null || !held.isEndSent || lease.socketLostAtMs !== null) {
      return this.#ends.stop(lease, lease.hadReader ? "cancelled" : "failed", nowMs);
    }
    lease.held = null;
    lease.completionTokens = held.completionTokens;
    lease.vectorsDue.clear();
    lease.detachedAtMs = nowMs;
    return this.#rewind(lease, held.nextSeq, { isOnItsWay: false });
  }

  /** The node was told to stop, as far as it knows. Before a reset it may have been: by a caller who left. */
  #givenUp(lease: Lease, completionTokens: number, nowMs: number): LeaseEffect[] {
    if (!lease.isRecovered) return this.#ends.broke(lease, "a task that nobody cancelled was given up", nowMs);
    if (lease.detachedAtMs === null) {
      return this.#ends.end(lease, { how: "socketGone", detail: "it was stopped before a reset" }, nowMs);
    }
    lease.ending = { state: "cancelled", sinceMs: nowMs };
    return this.#ends.close(lease, { type: "cancel", reason: "cancelled", completionTokens }, nowMs);
  }

  /** True where a frame may be of a telling that was asked for before a reset, and so be neither due nor wrong. */
  #mayBeOld({ isRecovered }: Lease): boolean {
    return isRecovered && this.#socket.isOlder;
  }

  /** From here on the piece `nextSeq` is due, and the node is asked for it. */
  #rewind(lease: Lease, nextSeq: number, { isOnItsWay }: { isOnItsWay: boolean }): LeaseEffect[] {
    const { attemptId } = lease.terms;
    lease.nextSeq = nextSeq;
    this.#acks.forget(attemptId);
    if (lease.socketLostAtMs !== null || isOnItsWay) return [];
    lease.acksDue += 1;
    return [{ type: "send", frame: { type: "resume", attemptId, nextSeq } }];
  }

  /** Brings back an attempt whose end is on record, to tell its pieces again. */
  #replay({ lease, canReplay }: Tombstone, nowMs: number): Lease | undefined {
    if (!canReplay) return undefined;
    const { attemptId } = lease.terms;
    this.#tombstones.remove(attemptId);
    this.#acks.wake(nowMs);
    const again = replayedLease(lease, { socketLostAtMs: this.#socket.isThere ? null : nowMs });
    this.#leases.set(attemptId, again);
    return again;
  }

  /** True where the node gives frequent signs, since it works on something. */
  #owesSigns(): boolean {
    return this.#socket.isThere && this.#leases.values().some(({ isOverAtNode }) => !isOverAtNode);
  }

  #noteBusy(nowMs: number): void {
    if (!this.#owesSigns()) this.#socket.noteSign(nowMs);
    this.#acks.wake(nowMs);
  }
}
