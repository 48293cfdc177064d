import type { AttemptId } from "../ids.ts";
import type { AttemptEvent } from "../lease/attempt-event.ts";
import type { KeptLease } from "../lease/lease.ts";
import { LeaseBook } from "../lease/lease-book.ts";
import type { LeaseEffect } from "../lease/lease-effect.ts";
import { limits } from "../limits.ts";
import type { TaskRecord } from "../record/entry.ts";
import type { NodeFrame } from "../wire/node-frame.ts";
import type { RouterFrame } from "../wire/router-frame.ts";
import { pick, seededRandom } from "./seeded-random.ts";
import { ToyNode, toyPromptTokens } from "./toy-node.ts";
import { toyNodeId, toyStartMs, toyTask } from "./toy-terms.ts";

/** One socket, each way a queue. */
interface Link {
  readonly toRouter: NodeFrame[];
  readonly toNode: RouterFrame[];
  /** Nothing passes any more, and nobody has noticed. */
  isBlockedSinceMs: number | undefined;
}

/** A Worker that reads one attempt. */
interface Reader {
  readonly attemptId: AttemptId;
  nextSeq: number;
  completionTokens: number;
  /** On the way to it. */
  readonly inbox: AttemptEvent[];
  state: "reading" | "broken" | "done" | "left";
  brokenAtMs: number;
}

const times = (count: number, act: () => void) => Array.from({ length: count }, () => act);

type BookMaker = (options: { hasSocket: boolean }) => LeaseBook;
export const honestBook: BookMaker = (options) => new LeaseBook(toyNodeId, options);

/**
 * A book among everything that happens around it, by chance from a seed: tasks, cuts, sockets that hang, resets, fresh
 * processes, readers that break off, come back, leave and cancel. What is wrong is collected in `faults`.
 */
export class LeaseWalk {
  readonly faults: string[] = [];
  /** How often each thing happened. */
  readonly tally = new Map<string, number>();
  readonly #random: () => number;
  readonly #makeBook: BookMaker;
  #nowMs = toyStartMs;
  #book: LeaseBook;
  #node: ToyNode;
  /** The node's end of its socket, and the router's: each may believe in one that the other has given up. */
  #nodeLink: Link | undefined;
  #routerLink: Link | undefined;
  /** When the node last gave a sign on the router's socket. */
  #signAtMs = toyStartMs;
  readonly #readers = new Map<AttemptId, Reader>();
  readonly #kept = new Map<AttemptId, KeptLease>();
  /** Records in storage, and those of them that Postgres does not have yet. */
  readonly #records = new Map<AttemptId, TaskRecord>();
  readonly #unsent = new Set<AttemptId>();
  /** Attempts of which a reset may have taken the only trace. */
  readonly #forgotten = new Set<AttemptId>();
  #pendingWrites: { attemptId: AttemptId; write: () => void }[] = [];
  readonly #started = new Set<AttemptId>();
  #opened = 0;

  constructor(seed: number, makeBook: BookMaker = honestBook) {
    this.#random = seededRandom(seed);
    this.#makeBook = makeBook;
    this.#book = makeBook({ hasSocket: false });
    this.#node = new ToyNode(this.#random, { hasSocket: false });
    this.#dial();
  }

  /** Takes steps by chance, then lets everything come to rest. Returns what was wrong, in words. */
  run(steps: number): string[] {
    for (let step = 0; step < steps && this.faults.length === 0; step += 1) this.#step();
    if (this.faults.length === 0) this.#rest();
    return this.faults;
  }

  #step(): void {
    const act = pick(this.#moves, this.#random);
    act();
    this.#advance(Math.floor(this.#random() ** 3 * 300));
  }

  /** What may happen; what is named more often happens more often. */
  readonly #moves: readonly (() => void)[] = [
    ...times(6, () => this.#openTask()),
    ...times(50, () => this.#work()),
    ...times(30, () => this.#deliverToRouter()),
    ...times(16, () => this.#deliverToNode()),
    ...times(20, () => this.#read()),
    ...times(10, () => this.#comeBack()),
    ...times(5, () => this.#dial()),
    ...times(2, () => this.#nodeNoticesLoss()),
    ...times(2, () => this.#routerNoticesLoss()),
    ...times(4, () => this.#breakReader()),
    ...times(2, () => this.#leaveOrCancel()),
    ...times(2, () => this.#reset()),
    () => this.#cut(),
    () => this.#block(),
    () => this.#restartNode(),
    () => this.#flush(),
    () => this.#advance(Math.floor(this.#random() * 6_000)),
  ];

  #check(holds: boolean, fault: string): void {
    if (!holds) this.faults.push(`${fault}, at ${this.#nowMs - toyStartMs} ms`);
  }

  #count(what: string): void {
    this.tally.set(what, (this.tally.get(what) ?? 0) + 1);
  }

  #openTask(): void {
    if (this.#routerLink === undefined || this.#book.size >= 4) return;
    this.#opened += 1;
    const { terms, task } = toyTask(this.#opened);
    const { attemptId } = terms;
    const reader: Reader = { attemptId, nextSeq: 0, completionTokens: 0, inbox: [], state: "reading", brokenAtMs: 0 };
    this.#readers.set(attemptId, reader);
    this.#count("tasks");
    this.#perform(this.#book.open(terms, task, this.#nowMs));
  }

  #work(): void {
    const { running } = this.#node;
    if (running.length > 0) this.#fromNode(this.#node.work(pick(running, this.#random)));
  }

  #fromNode(frames: readonly NodeFrame[]): void {
    this.#nodeLink?.toRouter.push(...frames);
  }

  #deliverToRouter(): void {
    const link = this.#routerLink;
    if (link === undefined || link.isBlockedSinceMs !== undefined) return;
    const frames = link.toRouter.splice(0, 1 + Math.floor(this.#random() * 4));
    for (const frame of frames) this.#routerHears(frame);
  }

  #routerHears(frame: NodeFrame): void {
    this.#signAtMs = this.#nowMs;
    if (frame.type === "ack") this.#perform(this.#book.ack(frame.attemptId, frame.promptTokens, this.#nowMs));
    if (frame.type === "commit") this.#perform(this.#book.commit(frame, this.#nowMs));
    if (frame.type === "fail") this.#perform(this.#book.fail(frame.attemptId, frame.reason, this.#nowMs));
    if (frame.type === "delta") for (const item of frame.items) this.#perform(this.#book.delta(item, this.#nowMs));
  }

  #deliverToNode(): void {
    const link = this.#nodeLink;
    if (link === undefined || link.isBlockedSinceMs !== undefined) return;
    const frame = link.toNode.shift();
    if (frame !== undefined) this.#fromNode(this.#node.hear(frame));
  }

  /** Both ends are gone, or one has yet to notice. */
  #cut(): void {
    this.#block();
    if (this.#random() < 0.7) this.#nodeNoticesLoss();
    if (this.#random() < 0.7) this.#routerNoticesLoss();
  }

  #block(): void {
    const link = this.#routerLink;
    if (link === undefined || link.isBlockedSinceMs !== undefined) return;
    this.#count("cuts");
    link.isBlockedSinceMs = this.#nowMs;
  }

  #nodeNoticesLoss(): void {
    if (this.#nodeLink?.isBlockedSinceMs === undefined) return;
    this.#nodeLink = undefined;
    this.#node.lost();
  }

  #routerNoticesLoss(): void {
    if (this.#routerLink?.isBlockedSinceMs === undefined) return;
    this.#routerLink = undefined;
    this.#perform(this.#book.socketLost(this.#nowMs, this.#nowMs, "the socket broke"));
  }

  /** The node has no socket and opens one; the router may still have its old one. */
  #dial(): void {
    if (this.#nodeLink !== undefined) return;
    const link: Link = { toRouter: [], toNode: [], isBlockedSinceMs: undefined };
    const holding = this.#node.holding();
    this.#nodeLink = link;
    this.#routerLink = link;
    this.#signAtMs = this.#nowMs;
    const { leases, effects } = this.#book.welcome(holding, this.#nowMs);
    const names = leases.map(({ attemptId }) => attemptId);
    this.#check(new Set(names).size === names.length, "a welcome names an attempt twice");
    const held = new Set(holding.map(({ attemptId }) => attemptId));
    this.#check(
      names.every((attemptId) => held.has(attemptId)),
      "a welcome names what the node does not hold",
    );
    for (const { nextSeq } of leases) this.#count(nextSeq === null ? "held back" : "goes on");
    const fields = { protocol: 4, nodeId: toyNodeId, epoch: 1, operator: "operator", resumeToken: "t".repeat(22) };
    const { heartbeatMs, busyHeartbeatMs } = limits;
    link.toNode.push({ type: "welcome", ...fields, heartbeatMs, busyHeartbeatMs, leases });
    this.#perform(effects);
  }

  /** The object's memory is gone; what it was about to write may be lost, and its node's socket with it. */
  #reset(): void {
    this.#count("resets");
    const isWritten = this.#random() < 0.5;
    for (const { attemptId, write } of this.#pendingWrites.splice(0)) {
      if (isWritten) write();
      else this.#forgotten.add(attemptId);
    }
    for (const { terms } of this.#book.leases) {
      if (!this.#kept.has(terms.attemptId)) this.#forgotten.add(terms.attemptId);
    }
    for (const reader of this.#readers.values()) this.#breakOff(reader);
    if (this.#random() < 0.5 && this.#routerLink !== undefined) {
      this.#routerLink.isBlockedSinceMs ??= this.#nowMs;
      this.#routerLink = undefined;
    }
    this.#started.clear();
    this.#book = this.#makeBook({ hasSocket: this.#routerLink !== undefined });
    const ended = [...this.#unsent].flatMap((attemptId) => {
      const record = this.#records.get(attemptId);
      return record === undefined ? [] : [{ attemptId, record }];
    });
    this.#book.recover({ open: [...this.#kept.values()], ended }, this.#nowMs);
  }

  #restartNode(): void {
    if (this.#random() < 0.7) return;
    this.#count("fresh processes");
    if (this.#nodeLink !== undefined) this.#nodeLink.isBlockedSinceMs ??= this.#nowMs;
    this.#nodeLink = undefined;
    this.#node = new ToyNode(this.#random, { hasSocket: false });
  }

  /** Postgres has what was recorded. */
  #flush(): void {
    this.#unsent.clear();
  }

  #read(): void {
    const waiting = [...this.#readers.values()].filter(({ inbox }) => inbox.length > 0);
    if (waiting.length > 0) this.#takeAll(pick(waiting, this.#random));
  }

  #takeAll(reader: Reader): void {
    for (const event of reader.inbox.splice(0)) {
      if (event.type !== "delta") {
        this.#end(reader, event);
        return;
      }
      this.#check(event.seq === reader.nextSeq, `piece ${event.seq} came to a reader that waits for ${reader.nextSeq}`);
      this.#check(event.text === `${reader.attemptId} ${event.seq}`, "a piece of another answer");
      reader.nextSeq = event.seq + 1;
      reader.completionTokens += event.tokenIds?.length ?? 0;
    }
  }

  #end(reader: Reader, event: Exclude<AttemptEvent, { type: "delta" }>): void {
    reader.state = "done";
    this.#count(event.type);
    if (event.type === "failed") {
      this.#check(!event.reason.startsWith("protocol"), `an honest node broke the protocol: ${event.reason}`);
      return;
    }
    this.#check(event.completionTokens === reader.completionTokens, "an end came without all the pieces before it");
    const record = this.#records.get(reader.attemptId);
    const isOnItsWay = this.#pendingWrites.some(({ attemptId }) => attemptId === reader.attemptId);
    const isOnRecord = record?.state === "completed" || isOnItsWay || this.#forgotten.has(reader.attemptId);
    this.#check(isOnRecord, "a reader heard of an end that is not on record");
  }

  /** A telling breaks; a part of what was on its way still comes. */
  #breakOff(reader: Reader): void {
    if (reader.state !== "reading") return;
    reader.inbox.length = Math.floor(this.#random() * (reader.inbox.length + 1));
    this.#takeAll(reader);
    if (reader.state !== "reading") return;
    reader.state = "broken";
    reader.brokenAtMs = this.#nowMs;
  }

  #breakReader(): void {
    const reading = [...this.#readers.values()].filter(({ state }) => state === "reading");
    if (reading.length === 0) return;
    const reader = pick(reading, this.#random);
    this.#breakOff(reader);
    if (reader.state === "broken") this.#book.detach(reader.attemptId, this.#nowMs);
  }

  #comeBack(): void {
    const broken = [...this.#readers.values()].filter(({ state }) => state === "broken");
    if (broken.length > 0) this.#attach(pick(broken, this.#random));
  }

  #attach(reader: Reader): void {
    const { attemptId, nextSeq, completionTokens } = reader;
    this.#count("attaches");
    this.#acked.delete(attemptId);
    const { attached, effects } = this.#book.attach({ attemptId, nextSeq, completionTokens, vectors: [] }, this.#nowMs);
    reader.state = attached.kind === "open" ? "reading" : "done";
    this.#count(attached.kind);
    this.#perform(effects);
    if (attached.kind === "over") this.#end(reader, attached.end);
  }

  #leaveOrCancel(): void {
    const there = [...this.#readers.values()].filter(({ state }) => state === "reading" || state === "broken");
    if (there.length === 0) return;
    const reader = pick(there, this.#random);
    const { attemptId } = reader;
    reader.state = "left";
    reader.inbox.length = 0;
    if (this.#random() < 0.5) {
      this.#count("readers gone");
      this.#book.detach(attemptId, this.#nowMs);
      return;
    }
    this.#count("cancels");
    const { isKnown, effects } = this.#book.cancel(attemptId, this.#nowMs);
    this.#check(isKnown || this.#isAccountedFor(attemptId), "a cancel found an attempt neither open nor ended");
    this.#perform(effects);
  }

  #isAccountedFor(attemptId: AttemptId): boolean {
    const isOnItsWay = this.#pendingWrites.some((pending) => pending.attemptId === attemptId);
    return this.#records.has(attemptId) || isOnItsWay || this.#forgotten.has(attemptId);
  }

  /** Moves the clock, and ticks the book whenever it asks for it on the way. */
  #advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (let ticks = 0; this.faults.length === 0; ticks += 1) {
      const dueMs = this.#book.nextTickMs(this.#nowMs);
      this.#check(dueMs === undefined || dueMs >= this.#nowMs, "a tick was due before now");
      this.#check(ticks < 10_000, "ticks settle nothing");
      if (dueMs === undefined || dueMs > untilMs) break;
      this.#nowMs = dueMs;
      this.#tick();
    }
    this.#nowMs = untilMs;
    if (this.#random() < 0.7) for (const { write } of this.#pendingWrites.splice(0)) write();
  }

  #tick(): void {
    const link = this.#routerLink;
    if (link !== undefined) this.#signAtMs = Math.max(this.#signAtMs, link.isBlockedSinceMs ?? this.#nowMs);
    const isBehind = (attemptId: AttemptId) => (this.#readers.get(attemptId)?.inbox.length ?? 0) > 0;
    this.#perform(this.#book.tick(this.#nowMs, this.#signAtMs, isBehind));
  }

  #perform(effects: readonly LeaseEffect[]): void {
    for (const effect of effects) {
      if (effect.type === "send") this.#send(effect.frame);
      else if (effect.type === "dropSocket") this.#dropSocket();
      else this.#performFor(effect, effect.type === "keep" ? effect.kept.terms.attemptId : effect.attemptId);
    }
  }

  #dropSocket(): void {
    const link = this.#routerLink;
    this.#count("half-open sockets");
    this.#check(link?.isBlockedSinceMs !== undefined, "a socket that was alive was dropped");
    this.#routerLink = undefined;
  }

  #send(frame: RouterFrame): void {
    this.#check(this.#routerLink !== undefined, `a ${frame.type} was sent without a socket`);
    this.#count(`${frame.type} frames`);
    if (frame.type === "acked") this.#checkAcked(frame);
    this.#routerLink?.toNode.push(frame);
  }

  /** Where each attempt was acked up to. */
  readonly #acked = new Map<AttemptId, number>();

  #checkAcked({ items, over }: Extract<RouterFrame, { type: "acked" }>): void {
    const open = new Set([...this.#book.leases].map(({ terms }) => terms.attemptId));
    this.#check(
      over.every((attemptId) => !open.has(attemptId)),
      "a node was told to forget what is open",
    );
    for (const { attemptId, nextSeq } of items) {
      const reader = this.#readers.get(attemptId);
      const isThere = reader?.state === "reading" || reader?.state === "broken";
      this.#check(!isThere || nextSeq <= reader.nextSeq, "a piece was acked that its reader does not have");
      this.#check(nextSeq > (this.#acked.get(attemptId) ?? 0), "a piece was acked twice");
      this.#acked.set(attemptId, nextSeq);
    }
  }

  #performFor(effect: Exclude<LeaseEffect, { type: "send" } | { type: "dropSocket" }>, attemptId: AttemptId): void {
    const reader = this.#readers.get(attemptId);
    this.#check(reader !== undefined, `a ${effect.type} of an unknown attempt`);
    if (reader === undefined) return;
    switch (effect.type) {
      case "start":
        this.#check(!this.#started.has(attemptId), "a lease began twice");
        this.#started.add(attemptId);
        break;
      case "hangUp":
        reader.inbox.length = 0;
        break;
      case "tell":
        if (reader.state !== "reading") break;
        this.#check(
          reader.inbox.at(-1)?.type === undefined || reader.inbox.at(-1)?.type === "delta",
          "an end was not the last",
        );
        reader.inbox.push(effect.event);
        break;
      case "keep":
        this.#check(!this.#kept.has(attemptId) && !this.#records.has(attemptId), "a lease was kept twice");
        this.#write(attemptId, () => this.#kept.set(attemptId, effect.kept));
        break;
      case "record":
        this.#checkRecord(attemptId, effect);
        this.#write(attemptId, () => {
          this.#kept.delete(attemptId);
          this.#records.set(attemptId, effect.record);
          this.#unsent.add(attemptId);
        });
    }
  }

  #write(attemptId: AttemptId, write: () => void): void {
    this.#pendingWrites.push({ attemptId, write });
  }

  #checkRecord(attemptId: AttemptId, { record, isKept }: Extract<LeaseEffect, { type: "record" }>): void {
    this.#count(record.state);
    const pending = this.#pendingWrites.filter((write) => write.attemptId === attemptId).length;
    this.#check(!this.#records.has(attemptId) && pending <= 1, "an attempt was recorded twice");
    this.#check(isKept === (this.#kept.has(attemptId) || pending === 1), "a record does not know what was kept");
    const attempt = record.attempts.at(-1);
    const made = this.#node.tokensMade(attemptId);
    const isHeld = this.#node.held.includes(attemptId);
    this.#check(attempt?.attemptId === attemptId, "a record of another attempt");
    this.#check(!isHeld || (attempt?.completionTokens ?? 0) <= made, "a record counts more than was made");
    if (record.state === "completed") {
      const isExact = record.promptTokens === toyPromptTokens && (!isHeld || record.completionTokens === made);
      this.#check(isExact, "a bill is not what was made");
    } else if (record.state !== "cancelled") this.#check(record.completionTokens === 0, "what failed was billed");
  }

  /** Nothing new happens: everything that is under way comes to its end. */
  #rest(): void {
    // As long as the longest that a lease without its node waits; far less than a silent node is given.
    for (let round = 0; round < 40 && this.faults.length === 0; round += 1) {
      this.#nodeNoticesLoss();
      this.#dial();
      for (let turn = 0; turn < 60; turn += 1) {
        this.#deliverToNode();
        this.#work();
        this.#deliverToRouter();
      }
      for (const reader of this.#readers.values()) this.#takeAll(reader);
      for (const reader of this.#readers.values()) if (reader.state === "broken") this.#attach(reader);
      this.#advance(1_000);
    }
    for (const { write } of this.#pendingWrites.splice(0)) write();
    for (const reader of this.#readers.values()) this.#takeAll(reader);
    if (this.faults.length > 0) return;
    this.#check(this.#book.size === 0, `${this.#book.size} leases never ended`);
    this.#check(this.#book.nextTickMs(this.#nowMs) === undefined, "a book at rest asks for ticks");
    this.#check(this.#kept.size === 0, "storage keeps a lease that is over");
    for (const { attemptId, state } of this.#readers.values()) {
      this.#check(state === "done" || state === "left", `${attemptId} waits for ever`);
      const isOnRecord = this.#records.has(attemptId) || this.#forgotten.has(attemptId);
      this.#check(isOnRecord, `${attemptId} is not on record`);
    }
  }
}
