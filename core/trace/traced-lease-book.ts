import type { AttemptId, NodeId } from "../ids.ts";
import type { KeptLease, LeaseTerms } from "../lease/lease.ts";
import { LeaseBook } from "../lease/lease-book.ts";
import type { Attached, LeaseEffect, ReaderWish } from "../lease/lease-effect.ts";
import type { TaskRecord } from "../record/entry.ts";
import type { CommitFrame, DeltaItem, FailReason, HeldAttempt } from "../wire/node-frame.ts";
import type { TaskFrame } from "../wire/router-frame.ts";
import { type LeaseInput, pieceOfTrace, taskOfTrace, tracedCommit, tracedPiece } from "./lease-input.ts";
import type { Trace } from "./trace.ts";

/** A lease book that notes what it is told, so that it can be told again elsewhere. It decides nothing of its own. */
export class TracedLeaseBook extends LeaseBook {
  readonly #trace: Trace;
  readonly #name: string;
  readonly #hadSocket: boolean;

  constructor(nodeId: NodeId, { hasSocket, trace }: { hasSocket: boolean; trace: Trace }) {
    super(nodeId, { hasSocket });
    this.#trace = trace;
    this.#name = nodeId;
    this.#hadSocket = hasSocket;
  }

  override recover(
    kept: { open: readonly KeptLease[]; ended: readonly { attemptId: AttemptId; record: TaskRecord }[] },
    nowMs: number,
  ): void {
    const { open, ended } = kept;
    this.#note({ type: "recover", hasSocket: this.#hadSocket, open: [...open], ended: [...ended] }, nowMs);
    super.recover(kept, nowMs);
  }

  override open(terms: LeaseTerms, task: TaskFrame, nowMs: number): LeaseEffect[] {
    this.#note({ type: "open", terms }, nowMs);
    return super.open(terms, task, nowMs);
  }

  override attach(wish: ReaderWish, nowMs: number): { attached: Attached; effects: LeaseEffect[] } {
    const { attemptId, nextSeq, completionTokens, vectors } = wish;
    this.#note({ type: "attach", attemptId, nextSeq, completionTokens, vectors: [...vectors] }, nowMs);
    return super.attach(wish, nowMs);
  }

  override detach(attemptId: AttemptId, nowMs: number): void {
    this.#note({ type: "detach", attemptId }, nowMs);
    super.detach(attemptId, nowMs);
  }

  override cancel(attemptId: AttemptId, nowMs: number): { isKnown: boolean; effects: LeaseEffect[] } {
    this.#note({ type: "cancel", attemptId }, nowMs);
    return super.cancel(attemptId, nowMs);
  }

  override ack(attemptId: AttemptId, promptTokens: number, nowMs: number): LeaseEffect[] {
    this.#note({ type: "ack", attemptId, promptTokens }, nowMs);
    return super.ack(attemptId, promptTokens, nowMs);
  }

  override delta(item: DeltaItem, nowMs: number): LeaseEffect[] {
    this.#note({ type: "delta", piece: tracedPiece(item) }, nowMs);
    return super.delta(item, nowMs);
  }

  override commit(frame: CommitFrame, nowMs: number): LeaseEffect[] {
    this.#note(tracedCommit(frame), nowMs);
    return super.commit(frame, nowMs);
  }

  override fail(attemptId: AttemptId, reason: FailReason, nowMs: number): LeaseEffect[] {
    this.#note({ type: "fail", attemptId, reason }, nowMs);
    return super.fail(attemptId, reason, nowMs);
  }

  override socketLost(lostAtMs: number, nowMs: number, reason: string): LeaseEffect[] {
    this.#note({ type: "socketLost", lostAtMs, reason }, nowMs);
    return super.socketLost(lostAtMs, nowMs, reason);
  }

  override welcome(holding: readonly HeldAttempt[], nowMs: number): ReturnType<LeaseBook["welcome"]> {
    this.#note({ type: "welcome", holding: [...holding] }, nowMs);
    return super.welcome(holding, nowMs);
  }

  override tick(nowMs: number, lastSignMs: number, isBehind?: (attemptId: AttemptId) => boolean): LeaseEffect[] {
    const ids = [...this.leases].map(({ terms }) => terms.attemptId);
    const behind = isBehind === undefined ? [] : ids.filter((attemptId) => isBehind(attemptId));
    this.#note({ type: "tick", lastSignMs, behind }, nowMs);
    return super.tick(nowMs, lastSignMs, isBehind);
  }

  #note(input: LeaseInput, nowMs: number): void {
    this.#trace.noteLease(this.#name, input, nowMs);
  }
}

/**
 * Tells a book one input of a trace; `recover` is for who makes the book. Returns what the book asks for, in order, and
 * what it answered where the input is a question.
 */
export function tellBook(
  book: LeaseBook,
  input: Exclude<LeaseInput, { type: "recover" }>,
  nowMs: number,
): { effects: LeaseEffect[]; attached?: Attached } {
  switch (input.type) {
    case "open":
      return { effects: book.open(input.terms, taskOfTrace(input.terms), nowMs) };
    case "attach":
      return book.attach(input, nowMs);
    case "detach":
      book.detach(input.attemptId, nowMs);
      return { effects: [] };
    case "cancel":
      return { effects: book.cancel(input.attemptId, nowMs).effects };
    case "ack":
      return { effects: book.ack(input.attemptId, input.promptTokens, nowMs) };
    case "delta":
      return { effects: book.delta(pieceOfTrace(input.piece), nowMs) };
    case "commit":
      return { effects: book.commit(input, nowMs) };
    case "fail":
      return { effects: book.fail(input.attemptId, input.reason, nowMs) };
    case "socketLost":
      return { effects: book.socketLost(input.lostAtMs, nowMs, input.reason) };
    case "welcome":
      return { effects: book.welcome(input.holding, nowMs).effects };
    case "tick": {
      const behind = new Set(input.behind);
      return { effects: book.tick(nowMs, input.lastSignMs, (attemptId) => behind.has(attemptId)) };
    }
  }
}
