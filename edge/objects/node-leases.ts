import type { AttemptId, ModelHash, NodeId } from "../../core/ids.ts";
import { keptLeaseSchema } from "../../core/lease/lease.ts";
import type { LeaseBook } from "../../core/lease/lease-book.ts";
import type { LeaseEffect } from "../../core/lease/lease-effect.ts";
import type { ModelCard } from "../../core/model/model-card.ts";
import type { TaskRecord } from "../../core/record/entry.ts";
import { Trace } from "../../core/trace/trace.ts";
import { TracedLeaseBook } from "../../core/trace/traced-lease-book.ts";
import type { HeldAttempt, NodeFrame } from "../../core/wire/node-frame.ts";
import type { RouterFrame } from "../../core/wire/router-frame.ts";
import type { TaskInput } from "../../core/wire/task-input.ts";
import { LaterWrites } from "./later-writes.ts";
import type { OpenSocket } from "./node-socket.ts";
import type { Ended, Outbox } from "./outbox.ts";
import { Reader } from "./reader.ts";
import type { AttachRequest, AttachResult, RunRequest, RunResult } from "./run.ts";

/** A timer is late by milliseconds, by a second where much is to do; never by more. */
const clockLeapMs = 1_000;

type LeaseFrame = Extract<NodeFrame, { type: "ack" | "delta" | "commit" | "fail" }>;

/** What these leases need of an outbox, and of the node's socket. */
type LeaseStore = Pick<Outbox, "hold" | "release" | "recover">;
type LeaseSocket = Pick<OpenSocket, "send" | "signAtMs">;

/** The leases of a NodeObject: its {@link LeaseBook} with the socket, the readers, the storage and the clock. */
export class NodeLeases {
  readonly #book: LeaseBook;
  readonly #outbox: LeaseStore;
  readonly #socket: () => LeaseSocket | undefined;
  readonly #onSilent: () => void;
  readonly #onFirstToken: (model: ModelHash, firstTokenMs: number) => void;
  readonly #readers = new Map<AttemptId, Reader>();
  readonly #trace = new Trace();
  /** Readers that were told something in this turn. */
  readonly #told = new Set<Reader>();
  readonly #writes: LaterWrites;
  /** What ended since the last round of writes. */
  #ended: Ended[] = [];
  #timer: { timer: ReturnType<typeof setTimeout>; atMs: number } | undefined;
  /** Frames of this turn, sent as one message. */
  #outgoing: RouterFrame[] = [];
  #depth = 0;

  constructor(options: {
    nodeId: NodeId;
    outbox: LeaseStore;
    socket: () => LeaseSocket | undefined;
    /** The node gives no sign on a socket that looks open. */
    onSilent: () => void;
    /** Milliseconds from assignment to the first token of an attempt. */
    onFirstToken: (model: ModelHash, firstTokenMs: number) => void;
    /** Records were kept: the outbox is to be flushed by then. */
    onRecorded: (flushAtMs: number) => void;
  }) {
    this.#outbox = options.outbox;
    this.#socket = options.socket;
    this.#onSilent = options.onSilent;
    this.#onFirstToken = options.onFirstToken;
    this.#writes = new LaterWrites(() => {
      if (this.#ended.length === 0) return;
      options.onRecorded(this.#outbox.release(this.#ended.splice(0), Date.now()));
    });
    const nowMs = Date.now();
    const hasSocket = options.socket() !== undefined;
    this.#book = new TracedLeaseBook(options.nodeId, { hasSocket, trace: this.#trace });
    this.#book.recover(this.#outbox.recover(keptLeaseSchema), nowMs);
    this.#arm(nowMs);
  }

  /** What these leases were told of late, as lines of JSON for `npm run replay`; no prompt and no answer is in it. */
  exportTrace(): string {
    return this.#trace.toText();
  }

  get size(): number {
    return this.#book.size;
  }

  /** Sends a task for which a credit was taken. Returns once the node has acked or refused it, or is given up. */
  async run(request: RunRequest, card: ModelCard | undefined): Promise<RunResult> {
    const { taskId, attemptId, model, input, continues, isWhole, wantsPromptIds, ...rest } = request;
    const reader = this.#read(attemptId, isWhole);
    this.during(() => {
      const terms = {
        taskId,
        attemptId,
        accountId: rest.accountId,
        keyId: rest.keyId,
        modelName: rest.modelName,
        model,
        kind: input.kind,
        inputs: input.kind === "embedding" ? input.texts.length : 0,
        dimensions: card?.dimensions ?? null,
        createdAtMs: rest.createdAtMs,
        priorAttempts: rest.priorAttempts,
        continuedTokens: continues.length,
        ...boundOf(input),
      };
      const frame = {
        ...({ type: "task", taskId, attemptId, model, input } as const),
        ...(continues.length === 0 ? {} : { continues: [...continues] }),
        ...(wantsPromptIds === true ? { wantsPromptIds } : {}),
      };
      this.#perform(this.#book.open(terms, frame, Date.now()));
    });
    const start = await reader.started;
    if (start.kind !== "acked") return start;
    return { kind: "accepted", ...(await reader.telling(start.promptTokens)) };
  }

  /** Tells the rest of an attempt to a reader that comes back. */
  async attach(request: AttachRequest): Promise<AttachResult> {
    const { attemptId, isWhole } = request;
    const { attached, effects } = this.#book.attach(request, Date.now());
    if (attached.kind === "unknown") return attached;
    this.during(() => this.#perform(effects));
    const { promptTokens } = attached;
    if (attached.kind === "over") return { kind: "accepted", promptTokens, early: [attached.end], events: null };
    const reader = this.#read(attemptId, isWhole);
    if (attached.isAcked) return { kind: "accepted", ...(await reader.telling(promptTokens)) };
    const start = await reader.started;
    // One that came to nothing tells so by itself.
    return { kind: "accepted", ...(await reader.telling(start.kind === "acked" ? start.promptTokens : 0)) };
  }

  /** The model of an attempt that is open. */
  modelOf(attemptId: AttemptId): ModelHash | undefined {
    return this.#book.leases.find(({ terms }) => terms.attemptId === attemptId)?.terms.model;
  }

  cancel(attemptId: AttemptId): boolean {
    const { isKnown, effects } = this.#book.cancel(attemptId, Date.now());
    this.during(() => this.#perform(effects));
    return isKnown;
  }

  /** A frame of the node about one of its attempts. */
  take(frame: LeaseFrame): void {
    const nowMs = Date.now();
    switch (frame.type) {
      case "ack":
        this.#perform(this.#book.ack(frame.attemptId, frame.promptTokens, nowMs));
        break;
      case "delta":
        for (const item of frame.items) this.#perform(this.#book.delta(item, nowMs));
        break;
      case "commit":
        this.#perform(this.#book.commit(frame, nowMs));
        break;
      case "fail":
        this.#perform(this.#book.fail(frame.attemptId, frame.reason, nowMs));
    }
  }

  /** The node is here on a fresh socket: what to name in its welcome, and what to do once that is out. */
  welcome(
    holding: readonly HeldAttempt[],
    nowMs: number,
  ): { leases: { attemptId: AttemptId; nextSeq: number | null }[]; perform: () => void } {
    const { leases, effects } = this.#book.welcome(holding, nowMs);
    return { leases, perform: () => this.during(() => this.#perform(effects)) };
  }

  socketLost(nowMs: number, reason: string): void {
    this.during(() => this.#perform(this.#book.socketLost(nowMs, nowMs, reason)));
  }

  /** Does something of which all frames go out as one message, and each reader hears as one piece. */
  during(act: () => void): void {
    this.#depth += 1;
    try {
      act();
    } finally {
      this.#depth -= 1;
      if (this.#depth === 0) this.#turnEnds();
    }
  }

  #turnEnds(): void {
    // What was for a socket that is gone is for no other.
    const frames = this.#outgoing.splice(0);
    if (frames.length > 0) this.#socket()?.send(frames);
    for (const reader of this.#told) reader.flush();
    this.#told.clear();
    this.#arm(Date.now());
  }

  #perform(effects: readonly LeaseEffect[]): void {
    for (const effect of effects) this.#performOne(effect);
  }

  #performOne(effect: LeaseEffect): void {
    switch (effect.type) {
      case "send":
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
        this.#writes.add(() => this.#outbox.hold(effect.kept.terms.attemptId, effect.kept));
        break;
      case "record":
        this.#record(effect.attemptId, effect.record);
        break;
      case "dropSocket":
        this.#onSilent();
    }
  }

  #record(attemptId: AttemptId, record: TaskRecord): void {
    this.#ended.push({ attemptId, record });
    this.#writes.due();
    // One that came to nothing is rare, and is on disk before its reader hears of it: a reset within the wait would bring
    // the lease back, and what its node held of it could pass for delivered while another node does the task.
    if (record.state === "queued") this.#writes.make();
    const attempt = record.attempts.find((candidate) => candidate.attemptId === attemptId);
    if (attempt === undefined || attempt.firstTokenAtMs === null) return;
    this.#onFirstToken(record.modelSha256, attempt.firstTokenAtMs - attempt.assignedAtMs);
  }

  #read(attemptId: AttemptId, isWhole: boolean): Reader {
    const reader = new Reader({
      isWhole,
      onUnread: () => {
        if (this.#readers.get(attemptId) !== reader) return;
        this.#readers.delete(attemptId);
        this.#book.detach(attemptId, Date.now());
        this.#arm(Date.now());
      },
    });
    this.#readers.set(attemptId, reader);
    return reader;
  }

  #arm(nowMs: number): void {
    const atMs = this.#book.nextTickMs(nowMs);
    // A timer that is overdue by so much is not late: the clock was set forward under it.
    const isSound = this.#timer !== undefined && this.#timer.atMs > nowMs - clockLeapMs;
    if (atMs !== undefined && isSound && this.#timer !== undefined && this.#timer.atMs <= atMs) return;
    if (this.#timer !== undefined) clearTimeout(this.#timer.timer);
    this.#timer = undefined;
    // An object with a timer does not sleep.
    if (atMs === undefined) return;
    // A deadline that has come since is seen at the next turn, never within this one.
    this.#timer = { timer: setTimeout(() => this.#tick(), Math.max(1, atMs - nowMs)), atMs };
  }

  #tick(): void {
    this.#timer = undefined;
    const isBehind = (attemptId: AttemptId) => this.#readers.get(attemptId)?.isBehind ?? true;
    this.during(() => this.#perform(this.#book.tick(Date.now(), this.#socket()?.signAtMs() ?? 0, isBehind)));
  }
}

/** How many tokens an answer may have, where its request sets a bound. */
function boundOf(input: TaskInput): { maxTokens?: number } {
  const maxTokens = input.kind === "chat" || input.kind === "completion" ? input.sampling.maxTokens : null;
  return maxTokens === null ? {} : { maxTokens };
}
