import type { AttemptId } from "../../core/ids.ts";
import type { HeldAttempt, NodeFrame } from "../../core/wire/node-frame.ts";
import type { RouterFrame, TaskFrame } from "../../core/wire/router-frame.ts";
import { HeldAttempts, type HeldStep } from "../../worker-node/connection/held-attempts.ts";
import { type Ground, holds } from "./ground.ts";
import type { NodeTraits } from "./node-process.ts";
import { answerEnd, promptTokensOf, taskNumber, textOf, tokenAt, toyContextTokens, vectorAt } from "./toy-answer.ts";

/** How often it is looked for attempts that nobody waits for any more. */
const expireEveryMs = 5_000;

/** One task that the toy engine works on. */
export interface ToyRun {
  readonly frame: TaskFrame;
  readonly number: number;
  /** The token or the vector that is next. */
  position: number;
  readonly until: number;
  readonly finishReason: "stop" | "length";
  isAcked: boolean;
  readyAtMs: number;
}

/** The process that a runner is part of. */
export interface RunnerOwner {
  /** False while there is no socket that is welcome: what is sent then goes nowhere. */
  readonly isWelcome: boolean;
  /** By the process's own clock. */
  readonly nowMs: number;
  /** How many times slower the engine is than it should be. */
  readonly slowness: number;
  send(frames: readonly NodeFrame[]): void;
  /** Later, while the process lives; where it is stopped meanwhile, once it goes on. */
  after(delayMs: number, act: () => void): void;
  /** Something began or ended. */
  changed(): void;
}

/**
 * A node's tasks, as `worker-node/task-runner.ts` runs them: the real replay buffer, and an engine of which every token
 * is known beforehand.
 */
export class ToyRunner {
  readonly #ground: Ground;
  readonly #traits: NodeTraits;
  readonly #owner: RunnerOwner;
  readonly #held = new HeldAttempts();
  readonly #running = new Map<AttemptId, ToyRun>();
  #granted = 0;
  #isDraining = false;
  #isStepping = false;
  #isExpiring = false;

  constructor(ground: Ground, { traits, owner }: { traits: NodeTraits; owner: RunnerOwner }) {
    this.#ground = ground;
    this.#traits = traits;
    this.#owner = owner;
    this.#held.lost(owner.nowMs);
  }

  get runs(): ReadonlyMap<AttemptId, ToyRun> {
    return this.#running;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** True once a draining node has nothing left to do or to send. */
  get isDone(): boolean {
    return this.#isDraining && this.#running.size === 0 && this.#held.isDelivered(this.#owner.nowMs);
  }

  /** Attempts that it keeps for the router, running ones first. */
  holding(): HeldAttempt[] {
    return this.#held.holding();
  }

  lost(): void {
    this.#held.lost(this.#owner.nowMs);
    this.#expireSoon();
  }

  drain(): void {
    this.#isDraining = true;
    this.#send([this.#draining()]);
  }

  take(frame: RouterFrame): void {
    switch (frame.type) {
      case "welcome":
        this.#welcomed(frame);
        break;
      case "task":
        this.#work(frame);
        break;
      case "cancel":
        this.#cancel(frame.attemptId);
        break;
      case "resume":
        this.#follow(this.#held.resume(frame));
        break;
      case "acked":
        this.#follow(this.#held.acked(frame));
        break;
      case "reject":
        holds(frame.code !== "invalid_frame", "every frame is one that the other side takes", () => frame.message);
        break;
      case "challenge":
      case "drain":
      case "heartbeat":
      case "standing":
    }
  }

  /** The engine throws at one of its tasks. */
  breakEngine(): void {
    const run = this.#ground.dice.one([...this.#running.values()]);
    if (run === undefined) return;
    const { attemptId } = run.frame;
    const reason = { code: "engine_error", message: "the engine broke" } as const;
    this.#over(attemptId, this.#held.fail({ attemptId, reason }, this.#owner.nowMs));
  }

  #welcomed(frame: Extract<RouterFrame, { type: "welcome" }>): void {
    const step = this.#held.welcomed(frame.leases, this.#owner.nowMs);
    if (!this.#ground.bugs.has("orphanKept")) for (const attemptId of step.stop) this.#running.delete(attemptId);
    this.#granted = this.#traits.slots - this.#running.size;
    this.#send([...step.frames, this.#isDraining ? this.#draining() : this.#pull()]);
  }

  #work(frame: TaskFrame): void {
    const { attemptId, taskId, input } = frame;
    if (!this.#held.begin(attemptId)) return;
    const { slots, tokenizeMs } = this.#traits;
    holds(this.#running.size < slots, "no node is sent more than it agreed to take", () => {
      return `${this.#traits.nodeId} has ${slots} slots and got ${attemptId} as number ${this.#running.size + 1}`;
    });
    if (this.#isDraining) {
      this.#send(this.#held.fail({ attemptId, reason: { code: "draining" } }, this.#owner.nowMs));
      return;
    }
    const number = taskNumber(taskId);
    const end =
      input.kind === "embedding"
        ? { tokens: input.texts.length, finishReason: "stop" as const }
        : input.kind === "check"
          ? { tokens: 0, finishReason: "stop" as const }
          : answerEnd(number, input.sampling.maxTokens ?? toyContextTokens);
    const position = frame.continues?.length ?? 0;
    const run = { frame, number, position, until: end.tokens, finishReason: end.finishReason };
    this.#running.set(attemptId, { ...run, isAcked: false, readyAtMs: 0 });
    this.#owner.after(tokenizeMs * this.#owner.slowness, () => this.#prepared(attemptId));
    this.#owner.changed();
  }

  #prepared(attemptId: AttemptId): void {
    const run = this.#running.get(attemptId);
    if (run === undefined || run.isAcked) return;
    const promptTokens = promptTokensOf(run.number);
    if (promptTokens > toyContextTokens) {
      const overflow = { promptTokens, contextTokens: toyContextTokens, inputIndex: 0 };
      const reason = { code: "context_length_exceeded", ...overflow } as const;
      this.#over(attemptId, this.#held.fail({ attemptId, reason }, this.#owner.nowMs));
      return;
    }
    this.#ack(run, promptTokens);
    this.#step();
  }

  #ack(run: ToyRun, promptTokens: number): void {
    run.isAcked = true;
    run.readyAtMs = this.#ground.loop.nowMs + this.#traits.prefillMs * this.#owner.slowness;
    this.#send(this.#held.ack({ attemptId: run.frame.attemptId, promptTokens }));
  }

  /** One step of every running task a round, as the real engine does it. */
  #step(): void {
    if (this.#isStepping || this.#running.size === 0) return;
    this.#isStepping = true;
    this.#owner.after(this.#traits.stepMs * this.#owner.slowness, () => {
      this.#isStepping = false;
      const { nowMs } = this.#ground.loop;
      const ready = [...this.#running.values()].filter((run) => run.isAcked && run.readyAtMs <= nowMs);
      const pieces = ready.filter((run) => run.position < run.until).map(pieceOf);
      const isKept = this.#owner.isWelcome || !this.#ground.bugs.has("pieceUnkept");
      const frames = isKept ? this.#held.pieces(pieces) : [];
      for (const run of ready) {
        if (run.position < run.until) continue;
        const { attemptId } = run.frame;
        frames.push(...this.#held.commit({ attemptId, finishReason: run.finishReason }, this.#owner.nowMs));
        frames.push(...this.#freed(attemptId));
      }
      this.#send(frames);
      this.#step();
    });
  }

  #cancel(attemptId: AttemptId): void {
    const frames = this.#held.cancel(attemptId);
    const run = this.#running.get(attemptId);
    if (run !== undefined) {
      if (!run.isAcked) this.#ack(run, promptTokensOf(run.number));
      frames.push(...this.#held.commit({ attemptId, finishReason: "cancelled" }, this.#owner.nowMs));
      frames.push(...this.#freed(attemptId));
    }
    this.#send(frames);
  }

  #over(attemptId: AttemptId, frames: NodeFrame[]): void {
    this.#send([...frames, ...this.#freed(attemptId)]);
  }

  /** What the router made of what is held: frames to send, attempts to stop. */
  #follow({ frames, stop }: HeldStep): void {
    const freed = this.#ground.bugs.has("orphanKept") ? [] : stop.flatMap((attemptId) => this.#freed(attemptId));
    this.#send([...frames, ...freed]);
  }

  /** A slot is free again. Returns the `pull` that says so, where there is somebody to hear it. */
  #freed(attemptId: AttemptId): NodeFrame[] {
    if (!this.#running.delete(attemptId)) return [];
    this.#expireSoon();
    if (!this.#owner.isWelcome || this.#isDraining) return [];
    this.#granted += 1;
    return [this.#pull()];
  }

  #pull(): NodeFrame {
    return { type: "pull", model: this.#traits.model, creditsTotal: this.#granted };
  }

  #draining(): NodeFrame {
    return { type: "status", state: "draining", running: this.#running.size };
  }

  #send(frames: readonly NodeFrame[]): void {
    this.#owner.send(frames);
    this.#owner.changed();
  }

  #expireSoon(): void {
    if (this.#isExpiring) return;
    this.#isExpiring = true;
    this.#owner.after(expireEveryMs, () => {
      this.#isExpiring = false;
      for (const attemptId of this.#held.expire(this.#owner.nowMs)) this.#running.delete(attemptId);
      if (this.#held.holding().length > 0) this.#expireSoon();
      this.#owner.changed();
    });
  }
}

function pieceOf(run: ToyRun) {
  const { number, position, frame } = run;
  run.position += 1;
  const { attemptId } = frame;
  if (frame.input.kind === "embedding") {
    return { attemptId, vectors: [{ index: position, float32: vectorAt(number, position) }] };
  }
  const tokenId = tokenAt(number, position);
  return { attemptId, text: textOf(tokenId), tokenIds: [tokenId] };
}
