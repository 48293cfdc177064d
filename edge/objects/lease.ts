import type { NodeId } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import type { TaskRecord } from "../../core/record/entry.ts";
import { type Attempt, attemptRecord, newAttempt, stepAttempt } from "../../core/task/attempt.ts";
import type { TaskState } from "../../core/task/task-moves.ts";
import type { CommitFrame, DeltaItem, FailReason } from "../../core/wire/node-frame.ts";
import { type AttemptEvent, encodeAttemptEvent } from "./attempt-stream.ts";
import type { RunRequest, TaskFault } from "./run.ts";

/** How a lease began. */
export type Start =
  | { kind: "acked"; promptTokens: number }
  | { kind: "failed"; how: "socketGone" | "deadline" | "refuse"; reason: string }
  | { kind: "refused"; fault: TaskFault };

/** A node that was told to stop has this long to say what it had. */
const cancelAnswerMs = 5_000;

/**
 * One node's hold on one task: counts and checks what the node sends, passes it on as a stream, and ends in exactly
 * one way. Methods that take a frame return what is wrong with it, or `undefined`; a wrong frame ends the lease.
 */
export class Lease {
  readonly request: RunRequest;
  readonly started: Promise<Start>;
  readonly events: ReadableStream<Uint8Array>;
  #attempt: Attempt;
  #nextSeq = 0;
  #completionTokens = 0;
  #finishReason: "stop" | "length" | null = null;
  readonly #vectorsDue: Set<number>;
  readonly #dimensions: number | undefined;
  #isCancelled = false;
  #heardAtMs: number;
  #timer: ReturnType<typeof setTimeout>;
  #resolveStart: (start: Start) => void = () => {};
  #controller: ReadableByteStreamController | undefined;
  readonly #onEnd: (lease: Lease) => void;

  constructor(options: {
    request: RunRequest;
    nodeId: NodeId;
    /** Length of the vectors that this node's model makes, where it makes any. */
    dimensions: number | undefined;
    nowMs: number;
    /** Called once, when the lease is over in any way. */
    onEnd: (lease: Lease) => void;
    /** Called when nobody reads the answer any more. */
    onUnread: (lease: Lease) => void;
  }) {
    const { request, nodeId, dimensions, nowMs, onEnd, onUnread } = options;
    this.request = request;
    this.#dimensions = dimensions;
    this.#onEnd = onEnd;
    this.#attempt = newAttempt({ attemptId: request.attemptId, nodeId }, nowMs);
    this.#heardAtMs = nowMs;
    this.#vectorsDue = new Set(request.input.kind === "embedding" ? request.input.texts.keys() : []);
    this.started = new Promise((resolve) => {
      this.#resolveStart = resolve;
    });
    this.events = new ReadableStream({
      type: "bytes",
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => {
        this.#controller = undefined;
        onUnread(this);
      },
    });
    this.#timer = setTimeout(() => this.end("deadline", "no ack in time", Date.now()), limits.ackMs);
  }

  get attempt(): Attempt {
    return this.#attempt;
  }

  get isOver(): boolean {
    return this.#attempt.endedAtMs !== null;
  }

  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  /** The node has understood the task and its prompt fits. */
  ack(promptTokens: number, nowMs: number): string | undefined {
    const next = stepAttempt(this.#attempt, { type: "ack", promptTokens }, nowMs);
    if (next === undefined) return `ack in state ${this.#attempt.state}`;
    this.#attempt = next;
    this.#heardAtMs = nowMs;
    this.#watchSilence();
    this.#resolveStart({ kind: "acked", promptTokens });
    return undefined;
  }

  /** A piece of the answer. */
  delta(item: DeltaItem, nowMs: number): string | undefined {
    if (this.#attempt.state !== "acked") return `delta in state ${this.#attempt.state}`;
    if (item.seq !== this.#nextSeq) return `delta ${item.seq} came where ${this.#nextSeq} was due`;
    for (const { index, float32 } of item.vectors ?? []) {
      if (!this.#vectorsDue.delete(index)) return `a vector for input ${index} came twice or was never asked for`;
      const numbers = base64Bytes(float32) / 4;
      if (numbers !== this.#dimensions) return `a vector of ${numbers} numbers where ${this.#dimensions} were due`;
    }
    this.#nextSeq += 1;
    this.#completionTokens += item.tokenIds?.length ?? 0;
    this.#heardAtMs = nowMs;
    if (this.#attempt.firstTokenAtMs === null) this.#attempt = { ...this.#attempt, firstTokenAtMs: nowMs };
    const { text, tokenIds, vectors } = item;
    this.#tell({
      type: "delta",
      ...(text === undefined ? {} : { text }),
      ...(tokenIds === undefined ? {} : { tokenIds }),
      ...(vectors === undefined ? {} : { vectors }),
    });
    return undefined;
  }

  /** The node's word that the answer is whole. Its counts must be those of what it sent. */
  commit(frame: CommitFrame, nowMs: number): string | undefined {
    const { finishReason, promptTokens, completionTokens } = frame;
    if (completionTokens !== this.#completionTokens) {
      return `commit of ${completionTokens} tokens after deltas of ${this.#completionTokens}`;
    }
    if (promptTokens !== this.#attempt.promptTokens) {
      return `commit of ${promptTokens} prompt tokens after an ack of ${this.#attempt.promptTokens}`;
    }
    if (finishReason === "cancelled") {
      if (!this.#isCancelled) return "a task that nobody cancelled was given up";
      this.#close({ type: "cancel", reason: "cancelled", completionTokens }, undefined, nowMs);
      return undefined;
    }
    if (this.#vectorsDue.size > 0) return `commit with ${this.#vectorsDue.size} vectors missing`;
    const next = stepAttempt(this.#attempt, { type: "commit", completionTokens }, nowMs);
    if (next === undefined) return `commit in state ${this.#attempt.state}`;
    this.#attempt = next;
    this.#finishReason = finishReason;
    this.#over({ type: "committed", finishReason, promptTokens, completionTokens });
    return undefined;
  }

  /** The node's no. */
  fail(reason: FailReason, nowMs: number): void {
    if (this.isOver) return;
    const isFault = reason.code === "context_length_exceeded" || reason.code === "unsupported";
    if (isFault) this.#resolveStart({ kind: "refused", fault: reason });
    const detail = "message" in reason ? `${reason.code}: ${reason.message}` : reason.code;
    this.end("refuse", detail.slice(0, 200), nowMs);
  }

  /** Ends the lease without a result. Does nothing once it is over. */
  end(how: "socketGone" | "deadline" | "refuse", reason: string, nowMs: number): void {
    if (this.isOver) return;
    this.#resolveStart({ kind: "failed", how, reason });
    this.#close(
      { type: how, reason, completionTokens: this.#completionTokens },
      { type: "failed", how, reason },
      nowMs,
    );
  }

  /** The caller is gone. What the node has done until now still counts; it has a moment to say so. */
  cancel(nowMs: number): void {
    if (this.isOver || this.#isCancelled) return;
    this.#isCancelled = true;
    this.#resolveStart({ kind: "failed", how: "refuse", reason: "cancelled" });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.isOver) return;
      this.#close({ type: "cancel", reason: "cancelled", completionTokens: this.#completionTokens }, undefined, nowMs);
    }, cancelAnswerMs);
  }

  /** The task as this lease leaves it: ended where the answer is whole or cancelled, else open for another attempt. */
  record(nowMs: number): TaskRecord {
    const { request } = this;
    const state: TaskState = this.#isCancelled
      ? "cancelled"
      : this.#attempt.state === "committed"
        ? "completed"
        : "queued";
    const isBilled = state !== "queued";
    return {
      kind: "task",
      taskId: request.taskId,
      accountId: request.accountId,
      keyId: request.keyId,
      modelName: request.modelName,
      modelSha256: request.model,
      task: request.input.kind,
      state,
      finishReason: this.#finishReason,
      errorCode: null,
      promptTokens: isBilled ? this.#attempt.promptTokens : 0,
      completionTokens: isBilled ? this.#attempt.completionTokens : 0,
      createdAtMs: request.createdAtMs,
      endedAtMs: nowMs,
      attempts: [...request.priorAttempts, attemptRecord(this.#attempt, nowMs)],
    };
  }

  #close(
    event: { type: "socketGone" | "deadline" | "refuse" | "cancel"; reason: string; completionTokens: number },
    last: AttemptEvent | undefined,
    nowMs: number,
  ): void {
    this.#attempt = stepAttempt(this.#attempt, event, nowMs) ?? this.#attempt;
    this.#over(last);
  }

  #over(last: AttemptEvent | undefined): void {
    clearTimeout(this.#timer);
    // The record is written before the caller hears of the end: what was heard is never lost.
    this.#onEnd(this);
    if (last !== undefined) this.#tell(last);
    this.#controller?.close();
    this.#controller = undefined;
  }

  #tell(event: AttemptEvent): void {
    this.#controller?.enqueue(encodeAttemptEvent(event));
  }

  #watchSilence(): void {
    clearTimeout(this.#timer);
    const dueMs = this.#heardAtMs + limits.silenceMs - Date.now();
    if (dueMs <= 0) this.end("deadline", "silent for too long", Date.now());
    else this.#timer = setTimeout(() => this.#watchSilence(), dueMs);
  }
}

/** Length of what padded base64 stands for, in bytes (RFC 4648 §4). */
function base64Bytes(text: string): number {
  return (text.length / 4) * 3 - (text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0);
}
