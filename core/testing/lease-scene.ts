import type { AttemptId } from "../ids.ts";
import type { KeptLease, LeaseTerms } from "../lease/lease.ts";
import { LeaseBook } from "../lease/lease-book.ts";
import type { Attached, LeaseEffect, ReaderWish } from "../lease/lease-effect.ts";
import type { TaskRecord } from "../record/entry.ts";
import type { CommitFrame, DeltaItem, FailReason, HeldAttempt } from "../wire/node-frame.ts";
import type { RouterFrame } from "../wire/router-frame.ts";
import { toyNodeId, toyStartMs, toyTask } from "./toy-terms.ts";

/**
 * One lease in a book, with a clock that is moved by hand and ticks the book exactly when it asks for it. Everything
 * that the book wants done is a line of `log`: milliseconds since the start, then what.
 */
export class LeaseScene {
  readonly terms: LeaseTerms;
  readonly attemptId: AttemptId;
  readonly log: string[] = [];
  /** Frames that were sent to the node. */
  readonly sent: RouterFrame[] = [];
  readonly records: TaskRecord[] = [];
  /** What storage holds. */
  kept: KeptLease | undefined;
  book = new LeaseBook(toyNodeId, { hasSocket: true });
  nowMs = toyStartMs;
  /** When the node last gave a sign; null where it gives one all the time. */
  #silentSinceMs: number | null = null;
  /** True while something told still waits for its reader. */
  isBehind = false;

  constructor(fields: Partial<LeaseTerms> = {}) {
    const { terms, task } = toyTask(0, fields);
    this.terms = terms;
    this.attemptId = terms.attemptId;
    this.perform(this.book.open(terms, task, this.nowMs));
    this.log.length = 0;
  }

  get lease() {
    return [...this.book.leases].find(({ terms }) => terms.attemptId === this.attemptId);
  }

  ack(promptTokens = 3): void {
    this.perform(this.book.ack(this.attemptId, promptTokens, this.nowMs));
  }

  /** A piece of one token, unless `piece` says otherwise. */
  delta(seq: number, piece: Omit<DeltaItem, "attemptId" | "seq"> = { text: "a", tokenIds: [1] }): void {
    this.perform(this.book.delta({ attemptId: this.attemptId, seq, ...piece }, this.nowMs));
  }

  commit(completionTokens: number, fields: Partial<CommitFrame> = {}): void {
    const frame = { type: "commit", attemptId: this.attemptId, finishReason: "stop", promptTokens: 3 } as const;
    this.perform(this.book.commit({ ...frame, completionTokens, ...fields }, this.nowMs));
  }

  fail(reason: FailReason): void {
    this.perform(this.book.fail(this.attemptId, reason, this.nowMs));
  }

  lost(): void {
    this.perform(this.book.socketLost(this.nowMs, this.nowMs, "the socket broke"));
  }

  /** The node is back; it holds this attempt as `held` says, or nothing where that is undefined. */
  welcome(held: Partial<HeldAttempt> | undefined): readonly { attemptId: AttemptId; nextSeq: number | null }[] {
    const { leases, effects } = this.book.welcome(held === undefined ? [] : [heldAs(this.attemptId, held)], this.nowMs);
    for (const { nextSeq } of leases) this.#note(`welcome ${nextSeq}`);
    this.perform(effects);
    return leases;
  }

  attach(nextSeq: number, wish: Partial<ReaderWish> = {}): Attached {
    const { attached, effects } = this.book.attach(
      { attemptId: this.attemptId, nextSeq, completionTokens: nextSeq, vectors: [], ...wish },
      this.nowMs,
    );
    this.#note(`attached ${attached.kind}`);
    this.perform(effects);
    return attached;
  }

  detach(): void {
    this.book.detach(this.attemptId, this.nowMs);
  }

  cancel(): boolean {
    const { isKnown, effects } = this.book.cancel(this.attemptId, this.nowMs);
    this.perform(effects);
    return isKnown;
  }

  /** The object loses its memory and finds in storage what was put there; its node's socket may outlive that. */
  reset({ hasSocket = false } = {}): void {
    const open = this.kept === undefined ? [] : [this.kept];
    const ended = this.records.map((record) => ({ attemptId: this.attemptId, record }));
    this.book = new LeaseBook(toyNodeId, { hasSocket });
    this.book.recover({ open, ended }, this.nowMs);
  }

  /** From now on the node gives no sign, or signs all the time. */
  setSilent(isSilent: boolean): void {
    this.#silentSinceMs = isSilent ? this.nowMs : null;
  }

  /** Moves the clock, and ticks the book whenever it asks for it on the way. */
  advance(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const dueMs = this.book.nextTickMs(this.nowMs);
      if (dueMs === undefined || dueMs > untilMs) break;
      this.nowMs = dueMs;
      this.tick();
    }
    this.nowMs = untilMs;
  }

  tick(): void {
    this.perform(this.book.tick(this.nowMs, this.#silentSinceMs ?? this.nowMs, () => this.isBehind));
  }

  perform(effects: readonly LeaseEffect[]): void {
    for (const effect of effects) {
      if (effect.type === "send") this.sent.push(effect.frame);
      if (effect.type === "keep") this.kept = effect.kept;
      if (effect.type === "record") {
        this.records.push(effect.record);
        this.kept = undefined;
      }
      this.#note(lineOf(effect));
    }
  }

  #note(line: string): void {
    this.log.push(`${this.nowMs - toyStartMs} ${line}`);
  }
}

/** An attempt as a node holds it: running, with nothing made, unless `fields` say otherwise. */
export function heldAs(attemptId: AttemptId, fields: Partial<HeldAttempt> = {}): HeldAttempt {
  const nothing = { firstSeq: 0, nextSeq: 0, completionTokens: 0, isOver: false, isEndSent: false };
  return { attemptId, ...nothing, ...fields };
}

function lineOf(effect: LeaseEffect): string {
  switch (effect.type) {
    case "send": {
      const { frame } = effect;
      if (frame.type === "resume") return `send resume ${frame.nextSeq}`;
      if (frame.type !== "acked") return `send ${frame.type}`;
      return `send acked${frame.items.map(({ nextSeq }) => ` ${nextSeq}`).join("")}${frame.over.length > 0 ? " over" : ""}`;
    }
    case "start":
      return `start ${effect.start.kind}${effect.start.kind === "failed" ? ` ${effect.start.how}` : ""}`;
    case "tell":
      if (effect.event.type === "delta") return `tell ${effect.event.seq}`;
      return `tell ${effect.event.type}${effect.event.type === "failed" ? ` ${effect.event.how}` : ""}`;
    case "record":
      return `record ${effect.record.state}`;
    default:
      return effect.type;
  }
}
