import type { AttemptId, ModelHash } from "../core/ids.ts";
import type { ModelName } from "../core/model/model-card.ts";
import type { NodeFrame } from "../core/wire/node-frame.ts";
import type { TaskFrame } from "../core/wire/router-frame.ts";
import { DeltaBatcher } from "./connection/delta-batcher.ts";
import type { ContextOverflow, Engine } from "./engine/engine.ts";

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
  firstTokenMs: number | undefined;
  totalMs: number;
}

/** Runs the router's tasks on this node's engines, and grants a new credit for each that ends. */
export class TaskRunner {
  readonly #models: ReadonlyMap<ModelHash, ServedEngine>;
  readonly #send: (frame: NodeFrame) => void;
  readonly #onFinished: (task: FinishedTask) => void;
  readonly #batcher: DeltaBatcher;
  readonly #running = new Map<AttemptId, { controller: AbortController; done: Promise<void> }>();
  /** Credits granted on the present socket, per model. */
  readonly #granted = new Map<ModelHash, number>();
  #isDraining = false;

  constructor(options: {
    models: readonly ServedEngine[];
    send: (frame: NodeFrame) => void;
    onFinished: (task: FinishedTask) => void;
  }) {
    this.#models = new Map(options.models.map((model) => [model.fileSha256, model]));
    this.#send = options.send;
    this.#onFinished = options.onFinished;
    this.#batcher = new DeltaBatcher((items) => this.#send({ type: "delta", items }));
  }

  get runningCount(): number {
    return this.#running.size;
  }

  /** A fresh socket: all slots are on offer, once what ran for the old one has let go of them. */
  async open(): Promise<void> {
    await this.abandon();
    for (const model of this.#models.values()) {
      this.#granted.set(model.fileSha256, model.slots);
      if (!this.#isDraining) this.#pull(model.fileSha256);
    }
  }

  /** The socket is gone: its tasks are another node's now. Resolves once every slot is free. */
  async abandon(): Promise<void> {
    this.#batcher.clear();
    // Without a grant, what ends now gives no credit on a socket that knows nothing of it.
    this.#granted.clear();
    for (const { controller } of this.#running.values()) controller.abort();
    await this.idle();
  }

  /** Takes a task. Everything that comes of it goes out as frames. */
  take(frame: TaskFrame): void {
    const controller = new AbortController();
    const done = this.#run(frame, controller.signal).finally(() => {
      this.#running.delete(frame.attemptId);
      const granted = this.#granted.get(frame.model);
      if (granted === undefined || this.#isDraining) return;
      this.#granted.set(frame.model, granted + 1);
      this.#pull(frame.model);
    });
    this.#running.set(frame.attemptId, { controller, done });
  }

  /** Stops a task; it commits what it has. Unknown ones are over already. */
  cancel(attemptId: AttemptId): void {
    this.#running.get(attemptId)?.controller.abort();
  }

  /** Takes no more and resolves when nothing runs. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    this.#send({ type: "status", state: "draining", running: this.#running.size });
    await this.idle();
    this.#send({ type: "drained" });
  }

  /** Resolves when nothing runs. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  #pull(model: ModelHash): void {
    this.#send({ type: "pull", model, creditsTotal: this.#granted.get(model) ?? 0 });
  }

  async #run(frame: TaskFrame, signal: AbortSignal): Promise<void> {
    const { attemptId } = frame;
    const startedAtMs = Date.now();
    const model = this.#models.get(frame.model);
    if (model === undefined) return this.#send({ type: "fail", attemptId, reason: { code: "unknown_model" } });
    if (this.#isDraining) return this.#send({ type: "fail", attemptId, reason: { code: "draining" } });
    const task: FinishedTask = {
      frame,
      model: model.name,
      outcome: "failed",
      problem: undefined,
      promptTokens: 0,
      tokenIds: [],
      firstTokenMs: undefined,
      totalMs: 0,
    };
    try {
      await this.#answer(task, model.engine, signal);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      task.problem = message;
      // What came before it failed goes first: nothing of an attempt follows its end.
      this.#batcher.end(attemptId);
      this.#send({ type: "fail", attemptId, reason: { code: "engine_error", message: message.slice(0, 500) } });
    } finally {
      this.#batcher.end(attemptId);
    }
    task.totalMs = Date.now() - startedAtMs;
    this.#onFinished(task);
  }

  async #answer(task: FinishedTask, engine: Engine, signal: AbortSignal): Promise<void> {
    const { attemptId, input } = task.frame;
    if (input.kind !== engine.kind) {
      task.problem = `asked to do ${input.kind} with a model for ${engine.kind}`;
      const message = `${task.model} is a model for ${engine.kind}.`;
      return this.#send({ type: "fail", attemptId, reason: { code: "unsupported", message } });
    }
    const startedAtMs = Date.now();
    const began = () => {
      task.firstTokenMs ??= Date.now() - startedAtMs;
    };
    if (input.kind === "chat") {
      const prepared = await engine.prepareChat(input);
      if (prepared.kind === "context_overflow") return this.#overflow(task, prepared);
      this.#ack(task, prepared.promptTokens);
      const outcome = await prepared.run({
        signal,
        onPiece: (piece) => {
          began();
          task.tokenIds.push(...piece.tokenIds);
          this.#batcher.addText(attemptId, piece);
        },
      });
      return this.#commit(task, outcome.finishReason);
    }
    const prepared = await engine.prepareEmbedding(input);
    if (prepared.kind === "context_overflow") return this.#overflow(task, prepared);
    this.#ack(task, prepared.promptTokens);
    const onVector = (index: number, vector: Float32Array) => {
      began();
      this.#batcher.addVector(attemptId, index, vector);
    };
    const finishReason = await prepared.run({ signal, onVector }).then(
      () => "stop" as const,
      (error: unknown) => {
        if (signal.aborted) return "cancelled" as const;
        throw error;
      },
    );
    this.#commit(task, finishReason);
  }

  #ack(task: FinishedTask, promptTokens: number): void {
    task.promptTokens = promptTokens;
    this.#send({ type: "ack", attemptId: task.frame.attemptId, promptTokens });
  }

  #commit(task: FinishedTask, finishReason: "stop" | "length" | "cancelled"): void {
    const { attemptId } = task.frame;
    task.outcome = finishReason;
    this.#batcher.end(attemptId);
    const { promptTokens, tokenIds } = task;
    this.#send({ type: "commit", attemptId, finishReason, promptTokens, completionTokens: tokenIds.length });
  }

  #overflow(task: FinishedTask, { promptTokens, contextTokens, inputIndex }: ContextOverflow): void {
    task.problem = `the prompt has ${promptTokens} tokens and the context ${contextTokens}`;
    const reason = { code: "context_length_exceeded", promptTokens, contextTokens, inputIndex } as const;
    this.#send({ type: "fail", attemptId: task.frame.attemptId, reason });
  }
}
