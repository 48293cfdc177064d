import type { Commitment } from "../core/commitment/commitment.ts";
import type { AttemptId, ModelHash } from "../core/ids.ts";
import type { ModelName } from "../core/model/model-card.ts";
import type { CheckReport, FailReason, HeldAttempt, NodeFrame } from "../core/wire/node-frame.ts";
import type { RouterFrame, TaskFrame } from "../core/wire/router-frame.ts";
import { claimSigner, type SignClaim } from "./answer-commitment.ts";
import { DeltaBatcher } from "./connection/delta-batcher.ts";
import { HeldAttempts, type HeldStep } from "./connection/held-attempts.ts";
import { doTask, type Ending, type TaskListener } from "./do-task.ts";
import type { Engine } from "./engine/engine.ts";
import { UnsupportedTaskError } from "./engine/unsupported-task-error.ts";

type FrameOf<Type extends RouterFrame["type"]> = Extract<RouterFrame, { type: Type }>;

/** A model that this node serves. */
export interface ServedEngine {
  name: ModelName;
  fileSha256: ModelHash;
  slots: number;
  engine: Engine;
}

/** One task as it went, for the node's own log. Times in milliseconds from its arrival. */
export interface FinishedTask {
  frame: TaskFrame;
  model: ModelName;
  outcome: "stop" | "length" | "cancelled" | "failed";
  problem: string | undefined;
  promptTokens: number;
  /** Ids of every token generated, in order. */
  tokenIds: number[];
  /** Of a check that was done. */
  report: CheckReport | undefined;
  firstTokenMs: number | undefined;
  /** From the word to stop until the engine had let go; undefined where nobody said it. */
  stoppedAfterMs: number | undefined;
  totalMs: number;
}

interface Running {
  readonly model: ModelHash;
  readonly controller: AbortController;
  stoppedAtMs: number | undefined;
  done: Promise<void>;
}

/** How often it is looked for attempts that nobody waits for any more. */
const expireEveryMs = 1_000;

/** Why a task was stopped that the router did not cancel. */
const nobodyWaits = "the router no longer waits for it";

/**
 * Runs the router's tasks on this node's engines, and grants a new credit for each that ends. A lost socket stops
 * nothing: what is made meanwhile is held ({@link HeldAttempts}) until the router has it or says that it is over.
 */
export class TaskRunner {
  readonly #models: ReadonlyMap<ModelHash, ServedEngine>;
  readonly #send: (frame: NodeFrame) => void;
  readonly #onFinished: (task: FinishedTask) => void;
  readonly #sign: SignClaim;
  readonly #held = new HeldAttempts();
  readonly #batcher: DeltaBatcher;
  readonly #running = new Map<AttemptId, Running>();
  /** Credits granted on the present socket, per model; empty while there is none. */
  readonly #granted = new Map<ModelHash, number>();
  readonly #expiry: ReturnType<typeof setInterval>;
  #resumedCount = 0;
  #isDraining = false;
  /** Told once a draining node has nothing left to do or to send. */
  #onDelivered: () => void = () => {};

  /** `privateKey` is the node's (PKCS #8, base64url): it signs what the node stands by. */
  constructor(options: {
    models: readonly ServedEngine[];
    privateKey: string;
    send: (frame: NodeFrame) => void;
    onFinished: (task: FinishedTask) => void;
  }) {
    this.#models = new Map(options.models.map((model) => [model.fileSha256, model]));
    this.#send = options.send;
    this.#onFinished = options.onFinished;
    this.#sign = claimSigner(options.privateKey);
    this.#batcher = new DeltaBatcher(({ acks, pieces }) => {
      for (const ack of acks) this.#sendAll(this.#held.ack(ack));
      this.#sendAll(this.#held.pieces(pieces));
    });
    this.#expiry = setInterval(() => this.#expire(), expireEveryMs).unref();
  }

  get runningCount(): number {
    return this.#running.size;
  }

  /** How often an attempt went on after its socket or its reader had been lost. */
  get resumedCount(): number {
    return this.#resumedCount;
  }

  /** What a hello says is held here. */
  holding(): HeldAttempt[] {
    return this.#held.holding();
  }

  /** A fresh socket is welcome: what it names goes on, the rest stops, and every slot that is free is on offer. */
  open({ leases }: Pick<FrameOf<"welcome">, "leases">): void {
    this.#perform(this.#held.welcomed(leases, Date.now()));
    this.#resumedCount += leases.filter(({ nextSeq }) => nextSeq !== null).length;
    if (this.#isDraining) {
      this.#sayDraining();
      return;
    }
    for (const { fileSha256, slots } of this.#models.values()) {
      const busy = [...this.#running.values()].filter(({ model }) => model === fileSha256).length;
      this.#granted.set(fileSha256, Math.max(0, slots - busy));
      this.#pull(fileSha256);
    }
  }

  /** The socket is gone; what runs goes on. */
  lost(): void {
    this.#held.lost(Date.now());
    // What ends now gives its credit with the next socket's free slots.
    this.#granted.clear();
  }

  /** Takes a task. Everything that comes of it goes out as frames. One that is held already is left as it is. */
  take(frame: TaskFrame): void {
    const { attemptId, model } = frame;
    if (this.#running.has(attemptId) || !this.#held.begin(attemptId)) return;
    const running: Running = {
      model,
      controller: new AbortController(),
      stoppedAtMs: undefined,
      done: Promise.resolve(),
    };
    this.#running.set(attemptId, running);
    running.done = this.#run(frame, running).finally(() => {
      this.#running.delete(attemptId);
      const granted = this.#granted.get(model);
      if (granted !== undefined && !this.#isDraining) {
        this.#granted.set(model, granted + 1);
        this.#pull(model);
      }
      this.#tellDelivered();
    });
  }

  /** Stops a task; it commits what it has. Unknown ones are over already. */
  cancel({ attemptId }: Pick<FrameOf<"cancel">, "attemptId">): void {
    this.#sendAll(this.#held.cancel(attemptId));
    this.#stop(attemptId, undefined);
    this.#tellDelivered();
  }

  /** Sends an attempt again from a piece on. */
  resume(frame: Pick<FrameOf<"resume">, "attemptId" | "nextSeq">): void {
    this.#resumedCount += 1;
    this.#perform(this.#held.resume(frame));
  }

  /** Forgets what the router has. */
  acked(frame: Pick<FrameOf<"acked">, "items" | "over">): void {
    this.#perform(this.#held.acked(frame));
  }

  /** Takes no more. Resolves when nothing runs and the router has what was made, or has had its time to ask for it. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    this.#sayDraining();
    await new Promise<void>((resolve) => {
      this.#onDelivered = resolve;
      this.#tellDelivered();
    });
    this.#send({ type: "drained" });
  }

  /** Stops everything that runs, and resolves once the engines have let go. */
  async close(): Promise<void> {
    clearInterval(this.#expiry);
    for (const attemptId of this.#running.keys()) this.#stop(attemptId, "the node stops");
    while (this.#running.size > 0) await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  #sendAll(frames: readonly NodeFrame[]): void {
    for (const frame of frames) this.#send(frame);
  }

  #perform({ frames, stop }: HeldStep): void {
    this.#sendAll(frames);
    for (const attemptId of stop) this.#stop(attemptId, nobodyWaits);
    this.#tellDelivered();
  }

  #stop(attemptId: AttemptId, reason: string | undefined): void {
    const running = this.#running.get(attemptId);
    if (running === undefined || running.controller.signal.aborted) return;
    running.stoppedAtMs = Date.now();
    running.controller.abort(reason);
  }

  #expire(): void {
    for (const attemptId of this.#held.expire(Date.now())) this.#stop(attemptId, nobodyWaits);
    this.#tellDelivered();
  }

  #sayDraining(): void {
    this.#send({ type: "status", state: "draining", running: this.#running.size });
  }

  #tellDelivered(): void {
    if (this.#isDraining && this.#running.size === 0 && this.#held.isDelivered(Date.now())) this.#onDelivered();
  }

  #pull(model: ModelHash): void {
    this.#send({ type: "pull", model, creditsTotal: this.#granted.get(model) ?? 0 });
  }

  async #run(frame: TaskFrame, running: Running): Promise<void> {
    const { attemptId } = frame;
    const startedAtMs = Date.now();
    const model = this.#models.get(frame.model);
    if (model === undefined) return this.#fail(attemptId, { code: "unknown_model" });
    if (this.#isDraining) return this.#fail(attemptId, { code: "draining" });
    const task: FinishedTask = {
      frame,
      model: model.name,
      outcome: "failed",
      problem: undefined,
      promptTokens: 0,
      tokenIds: [],
      report: undefined,
      firstTokenMs: undefined,
      stoppedAfterMs: undefined,
      totalMs: 0,
    };
    const { signal } = running.controller;
    try {
      await this.#do(task, model.engine, signal);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      task.problem = message;
      this.#fail(attemptId, reasonOf(error, message.slice(0, 500)));
    }
    const endedAtMs = Date.now();
    task.totalMs = endedAtMs - startedAtMs;
    if (running.stoppedAtMs !== undefined) task.stoppedAfterMs = endedAtMs - running.stoppedAtMs;
    if (task.outcome === "cancelled" && typeof signal.reason === "string") task.problem = signal.reason;
    this.#onFinished(task);
  }

  async #do(task: FinishedTask, engine: Engine, signal: AbortSignal): Promise<void> {
    const { frame } = task;
    const { attemptId, input } = frame;
    const startedAtMs = Date.now();
    const began = () => {
      task.firstTokenMs ??= Date.now() - startedAtMs;
    };
    const listener: TaskListener = {
      onAck: (promptTokens) => {
        task.promptTokens = promptTokens;
        this.#batcher.addAck(attemptId, promptTokens);
      },
      onPiece: (piece) => {
        began();
        task.tokenIds.push(...piece.tokenIds);
        this.#batcher.addText(attemptId, piece);
      },
      onVector: (index, vector) => {
        began();
        this.#batcher.addVector(attemptId, index, vector);
      },
      onReport: (report) => {
        task.report = report;
        this.#batcher.addReport(attemptId, report);
      },
    };
    const end = await doTask({ frame, input, model: task.model, engine, signal, listener });
    if ("finishReason" in end) return this.#commit(task, end);
    task.problem = end.problem;
    this.#fail(attemptId, end.reason);
  }

  #commit(task: FinishedTask, { finishReason, stopSequence, head, promptIds }: Ending): void {
    const { attemptId } = task.frame;
    task.outcome = finishReason;
    this.#batcher.end(attemptId);
    const frame = {
      attemptId,
      finishReason,
      ...(stopSequence === undefined ? {} : { stopSequence }),
      ...(head === undefined ? {} : { commitment: this.#commitment(task, { finishReason, head }) }),
      ...(promptIds === undefined ? {} : { promptIds: [...promptIds] }),
    };
    this.#sendAll(this.#held.commit(frame, Date.now()));
  }

  #commitment(
    { frame: { taskId, attemptId, model, continues = [] }, promptTokens, tokenIds }: FinishedTask,
    { finishReason, head }: { finishReason: Ending["finishReason"]; head: string },
  ): Commitment {
    const answerTokens = continues.length + tokenIds.length;
    const claim = { taskId, attemptId, model, promptTokens, answerTokens, finishReason, head };
    return { head, signature: this.#sign(claim) };
  }

  /** What came before goes first: nothing of an attempt follows its end. */
  #fail(attemptId: AttemptId, reason: FailReason): void {
    this.#batcher.end(attemptId);
    this.#sendAll(this.#held.fail({ attemptId, reason }, Date.now()));
  }
}

/** What is the task's own fault is not tried elsewhere. */
function reasonOf(error: unknown, message: string): FailReason {
  if (!(error instanceof UnsupportedTaskError)) return { code: "engine_error", message };
  return { code: "unsupported", message, ...(error.param === undefined ? {} : { param: error.param }) };
}
