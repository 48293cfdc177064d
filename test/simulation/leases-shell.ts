import type { AttemptId, NodeId } from "../../core/ids.ts";
import type { LeaseTerms } from "../../core/lease/lease.ts";
import { LeaseBook } from "../../core/lease/lease-book.ts";
import type { FailedHow, LeaseEffect, ReaderWish, TaskFault } from "../../core/lease/lease-effect.ts";
import type { TaskRecord } from "../../core/record/entry.ts";
import { TracedLeaseBook } from "../../core/trace/traced-lease-book.ts";
import type { HeldAttempt, NodeFrame } from "../../core/wire/node-frame.ts";
import type { RouterFrame, TaskFrame } from "../../core/wire/router-frame.ts";
import { LeaseWitness } from "./lease-witness.ts";
import type { Clock } from "./object-host.ts";
import type { Ended, OutboxShell } from "./outbox-shell.ts";
import { ReaderShell, type Told } from "./telling.ts";

type LeaseFrame = Extract<NodeFrame, { type: "ack" | "delta" | "commit" | "fail" }>;

/** What a Worker asks of a node's object. */
export interface RunWish {
  terms: LeaseTerms;
  task: TaskFrame;
  isWhole: boolean;
}

export type RunReply =
  | Told
  | { kind: "full" }
  | { kind: "offline" }
  | { kind: "failed"; how: FailedHow; reason: string }
  | { kind: "refused"; fault: TaskFault };

export type AttachReply = Told | { kind: "unknown" };

/** Where the leases' effects go. */
export interface LeasesOwner {
  send(frames: readonly RouterFrame[]): void;
  signAtMs(): number;
  onSilent(): void;
  onFirstToken(firstTokenMs: number): void;
  onRecorded(flushAtMs: number): void;
}

const gatherMs = 20;
const clockLeapMs = 1_000;

/** The leases of a node's object: the real {@link LeaseBook} with readers and storage, as `edge/objects/node-leases.ts`. */
export class LeasesShell {
  readonly book: LeaseBook;
  readonly #host: Clock;
  readonly #witness: LeaseWitness;
  readonly #outbox: OutboxShell;
  readonly #owner: LeasesOwner;
  readonly #readers = new Map<AttemptId, ReaderShell>();
  readonly #told = new Set<ReaderShell>();
  /** What is resolved at the end of a turn, as promises are. */
  #afterTurn: (() => void)[] = [];
  #outgoing: RouterFrame[] = [];
  #depth = 0;
  #timerAtMs: number | undefined;
  #cancelTimer: () => void = () => {};
  #writes: (() => void)[] = [];
  #cancelWriting: (() => void) | undefined;
  #madeAtMs = 0;
  #ended: Ended[] = [];

  constructor(options: {
    host: Clock;
    nodeId: NodeId;
    hasSocket: boolean;
    outbox: OutboxShell;
    owner: LeasesOwner;
  }) {
    this.#host = options.host;
    this.#outbox = options.outbox;
    this.#owner = options.owner;
    const { nodeId, hasSocket } = options;
    const trace = this.#host.ground.traceOf(nodeId);
    this.book =
      trace === undefined ? new LeaseBook(nodeId, { hasSocket }) : new TracedLeaseBook(nodeId, { hasSocket, trace });
    this.#witness = new LeaseWitness(nodeId, { hasSocket });
    this.book.recover(this.#outbox.recover(), this.#host.nowMs);
    this.#arm();
  }

  /** True while a timer runs: for a lease, or to write. */
  get isWaiting(): boolean {
    return this.#timerAtMs !== undefined || this.#cancelWriting !== undefined;
  }

  run({ terms, task, isWhole }: RunWish, reply: (result: RunReply) => void): void {
    const { attemptId } = terms;
    const reader = this.#read(attemptId, isWhole, (start) => {
      this.#later(() => {
        if (start.kind === "acked") reader.telling(start.promptTokens, reply);
        else reply(start);
      });
    });
    this.#witness.opened(attemptId);
    this.during(() => this.#perform(this.book.open(terms, task, this.#host.nowMs)));
  }

  attach(wish: ReaderWish & { isWhole: boolean }, reply: (result: AttachReply) => void): void {
    const { attached, effects } = this.book.attach(wish, this.#host.nowMs);
    if (attached.kind === "unknown") {
      reply(attached);
      return;
    }
    this.during(() => this.#perform(effects));
    this.#witness.attached(wish.attemptId, wish.nextSeq, attached);
    const { promptTokens } = attached;
    if (attached.kind === "over") {
      reply({ kind: "accepted", promptTokens, early: [attached.end], events: null });
      return;
    }
    const reader = this.#read(wish.attemptId, wish.isWhole, (start) => {
      // One that came to nothing tells so by itself.
      this.#later(() => reader.telling(start.kind === "acked" ? start.promptTokens : 0, reply));
    });
    if (attached.isAcked) reader.begun(promptTokens, reply);
  }

  cancel(attemptId: AttemptId): boolean {
    const { isKnown, effects } = this.book.cancel(attemptId, this.#host.nowMs);
    this.during(() => this.#perform(effects));
    return isKnown;
  }

  take(frame: LeaseFrame): void {
    const { nowMs } = this.#host;
    const { bugs, dice } = this.#host.ground;
    switch (frame.type) {
      case "ack":
        if (bugs.has("ackDropped") && dice.isChance(0.05)) break;
        this.#perform(this.book.ack(frame.attemptId, frame.promptTokens, nowMs));
        break;
      case "delta":
        for (const item of frame.items) this.#perform(this.book.delta(item, nowMs));
        break;
      case "commit":
        this.#perform(this.book.commit(frame, nowMs));
        break;
      case "fail":
        this.#perform(this.book.fail(frame.attemptId, frame.reason, nowMs));
    }
  }

  welcome(holding: readonly HeldAttempt[]): ReturnType<LeaseBook["welcome"]> & { perform: () => void } {
    this.#witness.welcomed();
    const welcomed = this.book.welcome(holding, this.#host.nowMs);
    return { ...welcomed, perform: () => this.during(() => this.#perform(welcomed.effects)) };
  }

  socketLost(reason: string): void {
    const { nowMs } = this.#host;
    this.#witness.socketLost();
    this.during(() => this.#perform(this.book.socketLost(nowMs, nowMs, reason)));
  }

  /** Does something of which all frames go out as one message. */
  during(act: () => void): void {
    this.#depth += 1;
    act();
    this.#depth -= 1;
    if (this.#depth === 0) this.#turnEnds();
  }

  /** The object's memory is gone. */
  dropped(): void {
    for (const reader of this.#readers.values()) reader.dropped();
  }

  /** Runs once the present turn is over; at once between turns. */
  #later(act: () => void): void {
    if (this.#depth > 0) this.#afterTurn.push(act);
    else act();
  }

  #turnEnds(): void {
    const outgoing = this.#outgoing;
    this.#outgoing = [];
    if (outgoing.length > 0) this.#owner.send(outgoing);
    for (const reader of this.#told) reader.flush();
    this.#told.clear();
    const after = this.#afterTurn;
    this.#afterTurn = [];
    for (const act of after) act();
    this.#arm();
  }

  #perform(effects: readonly LeaseEffect[]): void {
    this.#witness.asked(effects, this.book, this.#host.nowMs);
    for (const effect of effects) this.#performOne(effect);
  }

  #performOne(effect: LeaseEffect): void {
    switch (effect.type) {
      case "send":
        if (this.#host.ground.bugs.has("cancelForgotten") && effect.frame.type === "cancel") break;
        this.#outgoing.push(effect.frame);
        break;
      case "start":
        this.#readers.get(effect.attemptId)?.start(effect.start);
        break;
      case "tell": {
        const reader = this.#readers.get(effect.attemptId);
        if (reader === undefined) break;
        reader.tell(effect.event);
        this.#told.add(reader);
        if (effect.event.type !== "delta") this.#readers.delete(effect.attemptId);
        break;
      }
      case "hangUp":
        this.#readers.get(effect.attemptId)?.hangUp();
        this.#readers.delete(effect.attemptId);
        break;
      case "keep":
        this.#write(() => this.#outbox.hold(effect.kept.terms.attemptId, effect.kept));
        break;
      case "record":
        this.#record(effect.attemptId, effect.record);
        break;
      case "dropSocket":
        this.#owner.onSilent();
    }
  }

  #record(attemptId: AttemptId, record: TaskRecord): void {
    this.#ended.push({ attemptId, record });
    this.#writeSoon();
    if (record.state === "queued") this.#makeWrites();
    const attempt = record.attempts.find((candidate) => candidate.attemptId === attemptId);
    if (attempt === undefined || attempt.firstTokenAtMs === null) return;
    this.#owner.onFirstToken(attempt.firstTokenAtMs - attempt.assignedAtMs);
  }

  /** Writes soon, together with others: `edge/objects/later-writes.ts`. */
  #write(write: () => void): void {
    this.#writes.push(write);
    this.#writeSoon();
  }

  #writeSoon(): void {
    if (this.#cancelWriting !== undefined) return;
    const restMs = Math.max(0, this.#madeAtMs + gatherMs - this.#host.nowMs);
    const isPutOff = this.#host.ground.bugs.has("writePutOff");
    this.#cancelWriting = this.#host.after(isPutOff ? restMs : Math.min(gatherMs, restMs), () => this.#makeWrites());
  }

  #makeWrites(): void {
    this.#cancelWriting?.();
    this.#cancelWriting = undefined;
    this.#madeAtMs = this.#host.nowMs;
    const writes = this.#writes;
    this.#writes = [];
    for (const make of writes) make();
    const ended = this.#ended;
    this.#ended = [];
    if (ended.length > 0) this.#owner.onRecorded(this.#outbox.release(ended, this.#host.nowMs));
  }

  #read(
    attemptId: AttemptId,
    isWhole: boolean,
    onStart: ConstructorParameters<typeof ReaderShell>[1]["onStart"],
  ): ReaderShell {
    const reader = new ReaderShell(this.#host.ground, {
      isWhole,
      onStart,
      onUnread: () => {
        if (this.#readers.get(attemptId) !== reader) return;
        this.#readers.delete(attemptId);
        this.book.detach(attemptId, this.#host.nowMs);
        this.#arm();
      },
    });
    this.#readers.set(attemptId, reader);
    return reader;
  }

  #arm(): void {
    const { nowMs } = this.#host;
    const atMs = this.book.nextTickMs(nowMs);
    const isSound = this.#timerAtMs !== undefined && this.#timerAtMs > nowMs - clockLeapMs;
    if (atMs !== undefined && isSound && this.#timerAtMs !== undefined && this.#timerAtMs <= atMs) return;
    this.#cancelTimer();
    this.#timerAtMs = atMs;
    if (atMs === undefined) return;
    this.#cancelTimer = this.#host.after(Math.max(1, atMs - nowMs), () => {
      this.#timerAtMs = undefined;
      const isBehind = (attemptId: AttemptId) => this.#readers.get(attemptId)?.isBehind ?? true;
      this.during(() => this.#perform(this.book.tick(this.#host.nowMs, this.#owner.signAtMs(), isBehind)));
    });
  }
}
