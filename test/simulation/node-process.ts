import type { AttemptId, ModelHash, NodeId } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import type { HeldAttempt, NodeFrame } from "../../core/wire/node-frame.ts";
import type { RouterFrame, TaskFrame } from "../../core/wire/router-frame.ts";
import { backoffMs } from "../../worker-node/connection/backoff.ts";
import { HeldAttempts, type HeldStep } from "../../worker-node/connection/held-attempts.ts";
import { type Ground, holds } from "./ground.ts";
import type { Link, LinkEnd } from "./link.ts";
import { answerEnd, promptTokensOf, taskNumber, textOf, tokenAt, toyContextTokens, vectorAt } from "./toy-answer.ts";

/** What a box is like. Times in milliseconds. */
export interface NodeTraits {
  readonly nodeId: NodeId;
  readonly model: ModelHash;
  readonly slots: number;
  /** Until a prompt is understood, until its first token after that, and from token to token. */
  readonly tokenizeMs: number;
  readonly prefillMs: number;
  readonly stepMs: number;
  /** One way to the router. */
  readonly latencyMs: number;
}

export interface Resume {
  token: string;
  holding: HeldAttempt[];
}

/** A socket that lasted this long was no failure. */
const steadyMs = 1_000;

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

/**
 * A node's process: its replay buffer (the real one), a toy engine of which every token is known beforehand, and the
 * one socket that it dials again and again.
 */
export class NodeProcess {
  readonly traits: NodeTraits;
  readonly #ground: Ground;
  /** Opens a socket at the node's object; undefined where the way is closed. */
  readonly #open: (process: NodeProcess, end: LinkEnd<RouterFrame>, resume: Resume | undefined) => Link | undefined;
  #held = new HeldAttempts();
  #link: Link | undefined;
  #isWelcome = false;
  #resumeToken: string | undefined;
  #granted = 0;
  #failures = 0;
  #welcomedAtMs = 0;
  #life = 0;
  #isAlive = false;
  #isDraining = false;
  /** What is to be done once the process runs again; undefined while it runs. */
  #owed: (() => void)[] | undefined;
  #isStepping = false;
  #isExpiring = false;
  #heardAtMs = 0;
  readonly #running = new Map<AttemptId, ToyRun>();
  /** Milliseconds that its clock is ahead. */
  skewMs = 0;
  /** How many times slower than it should be. */
  slowness = 1;
  /** How many things keep every dial of this node from getting through. */
  #obstacles = 0;
  awakeSinceMs: number;

  constructor(
    ground: Ground,
    traits: NodeTraits,
    open: (process: NodeProcess, end: LinkEnd<RouterFrame>, resume: Resume | undefined) => Link | undefined,
  ) {
    this.#ground = ground;
    this.traits = traits;
    this.#open = open;
    this.awakeSinceMs = ground.loop.nowMs;
  }

  get name(): string {
    return this.traits.nodeId;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isPaused(): boolean {
    return this.#owed !== undefined;
  }

  get link(): Link | undefined {
    return this.#link;
  }

  get runs(): ReadonlyMap<AttemptId, ToyRun> {
    return this.#running;
  }

  /** Attempts that it keeps for the router, running ones first. */
  holding(): HeldAttempt[] {
    return this.#held.holding();
  }

  /** A fresh process: it holds nothing and dials. */
  start(): void {
    this.#ground.note(() => `${this.name} starts`);
    this.#life += 1;
    this.#isAlive = true;
    this.#isDraining = false;
    this.#isStepping = false;
    this.#isExpiring = false;
    this.#owed = undefined;
    this.#held = new HeldAttempts();
    this.#held.lost(this.#nowMs);
    this.#resumeToken = undefined;
    this.#failures = 0;
    this.awakeSinceMs = this.#ground.loop.nowMs;
    this.#dial();
  }

  /** SIGKILL. */
  kill(): void {
    this.#ground.note(() => `${this.name} is killed`);
    this.#life += 1;
    this.#isAlive = false;
    this.#owed = undefined;
    this.#running.clear();
    const link = this.#link;
    this.#link = undefined;
    this.#isWelcome = false;
    link?.dropByNode();
  }

  /** SIGSTOP: nothing is done, and the system keeps the socket. */
  pause(): void {
    if (!this.#isAlive) return;
    this.#ground.note(() => `${this.name} is stopped`);
    this.#owed ??= [];
    this.#link?.fallSilent();
  }

  /** SIGCONT. */
  proceed(): void {
    this.#ground.note(() => `${this.name} goes on`);
    const owed = this.#owed ?? [];
    this.#owed = undefined;
    this.awakeSinceMs = this.#ground.loop.nowMs;
    this.#link?.speakAgain();
    for (const act of owed) this.#whenAwake(act);
  }

  /** No dial gets through until {@link reach}, as often as this was said. */
  cutOff(): void {
    this.#obstacles += 1;
  }

  reach(): void {
    this.#obstacles -= 1;
  }

  get isReachable(): boolean {
    return this.#obstacles === 0;
  }

  /** True from SIGTERM until it is gone. */
  get isDraining(): boolean {
    return this.#isAlive && this.#isDraining;
  }

  /** SIGTERM: takes no more, ends what runs, says so and goes. */
  drain(): void {
    if (!this.#isAlive || this.#isDraining) return;
    this.#isDraining = true;
    this.#send([{ type: "status", state: "draining", running: this.#running.size }]);
    this.#leaveIfDrained();
  }

  /** The engine throws at one of its tasks. */
  breakEngine(): void {
    const run = this.#ground.dice.one([...this.#running.values()]);
    if (run === undefined) return;
    const { attemptId } = run.frame;
    const reason = { code: "engine_error", message: "the engine broke" } as const;
    this.#over(attemptId, this.#held.fail({ attemptId, reason }, this.#nowMs));
  }

  /** The link is blocked from now on: the node finds out as it does, by silence. */
  watchSilence(): void {
    const link = this.#link;
    if (link === undefined) return;
    this.#after(1_000, () => {
      if (this.#link !== link || !link.isBlocked) return;
      const silentMs = this.#ground.loop.nowMs - this.#heardAtMs;
      const boundMs = this.#running.size > 0 ? limits.busySilenceMs : 2 * limits.heartbeatMs;
      if (silentMs >= boundMs) this.#lose(() => link.dropByNode());
      else this.watchSilence();
    });
  }

  get #nowMs(): number {
    return this.#ground.loop.nowMs + this.skewMs;
  }

  #after(delayMs: number, act: () => void): void {
    const life = this.#life;
    this.#ground.loop.after(delayMs, () => {
      if (life === this.#life) this.#whenAwake(act);
    });
  }

  #whenAwake(act: () => void): void {
    if (this.#owed === undefined) act();
    else this.#owed.push(act);
  }

  #dial(): void {
    const life = this.#life;
    this.#after(4 * this.traits.latencyMs, () => {
      const resume =
        this.#resumeToken === undefined ? undefined : { token: this.#resumeToken, holding: this.#held.holding() };
      holds((resume?.holding.length ?? 0) <= limits.heldAttempts, "no queue grows past its bound", () => this.name);
      const end: LinkEnd<RouterFrame> = {
        message: (frames) => {
          if (life === this.#life) this.#whenAwake(() => this.#hear(link, frames));
        },
        closed: (code) => {
          if (life === this.#life) this.#whenAwake(() => this.#closed(link, code));
        },
      };
      const link = this.#obstacles > 0 ? undefined : this.#open(this, end, resume);
      if (link === undefined) {
        this.#redial();
        return;
      }
      this.#link = link;
      this.#heardAtMs = this.#ground.loop.nowMs;
      this.#after(limits.helloMs, () => {
        if (this.#link === link && !this.#isWelcome) this.#lose(() => link.dropByNode());
      });
    });
  }

  #redial(): void {
    const waitMs = backoffMs(this.#failures, { isBusy: this.#running.size > 0, random: this.#ground.dice.random });
    this.#failures += 1;
    this.#after(waitMs, () => this.#dial());
  }

  #closed(link: Link | undefined, code: number): void {
    if (link === undefined || this.#link !== link) return;
    this.#ground.note(() => `${this.name} loses its socket (${code})`);
    this.#lose(() => {});
  }

  /** The socket is no more; what runs goes on. */
  #lose(drop: () => void): void {
    this.#link = undefined;
    // A socket that ends as soon as it is welcome is a failure too.
    if (this.#isWelcome) this.#failures = this.#ground.loop.nowMs - this.#welcomedAtMs >= steadyMs ? 0 : 1;
    this.#isWelcome = false;
    drop();
    this.#held.lost(this.#nowMs);
    this.#expireSoon();
    this.#redial();
  }

  #hear(link: Link | undefined, frames: readonly RouterFrame[]): void {
    if (link === undefined || this.#link !== link) return;
    this.#heardAtMs = this.#ground.loop.nowMs;
    for (const frame of frames) this.#take(frame);
  }

  #take(frame: RouterFrame): void {
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

  #welcomed(frame: Extract<RouterFrame, { type: "welcome" }>): void {
    this.#isWelcome = true;
    this.#welcomedAtMs = this.#ground.loop.nowMs;
    this.#resumeToken = frame.resumeToken;
    const step = this.#held.welcomed(frame.leases, this.#nowMs);
    if (!this.#ground.bugs.has("orphanKept")) for (const attemptId of step.stop) this.#running.delete(attemptId);
    this.#granted = this.traits.slots - this.#running.size;
    this.#noteBusy();
    const status: NodeFrame[] = this.#isDraining
      ? [{ type: "status", state: "draining", running: this.#running.size }]
      : [{ type: "pull", model: this.traits.model, creditsTotal: this.#granted }];
    this.#send([...step.frames, ...status]);
    this.#leaveIfDrained();
  }

  #work(frame: TaskFrame): void {
    const { attemptId, taskId, input } = frame;
    if (!this.#held.begin(attemptId)) return;
    const { slots, tokenizeMs } = this.traits;
    holds(this.#running.size < slots, "no node is sent more than it agreed to take", () => {
      return `${this.name} has ${slots} slots and got ${attemptId} as number ${this.#running.size + 1}`;
    });
    if (this.#isDraining) {
      this.#send(this.#held.fail({ attemptId, reason: { code: "draining" } }, this.#nowMs));
      return;
    }
    const number = taskNumber(taskId);
    const end =
      input.kind === "chat"
        ? answerEnd(number, input.sampling.maxTokens ?? toyContextTokens)
        : { tokens: input.texts.length, finishReason: "stop" as const };
    const position = frame.continues?.length ?? 0;
    const run = { frame, number, position, until: end.tokens, finishReason: end.finishReason };
    this.#running.set(attemptId, { ...run, isAcked: false, readyAtMs: 0 });
    this.#noteBusy();
    this.#after(tokenizeMs * this.slowness, () => this.#prepared(attemptId));
  }

  #prepared(attemptId: AttemptId): void {
    const run = this.#running.get(attemptId);
    if (run === undefined || run.isAcked) return;
    const promptTokens = promptTokensOf(run.number);
    if (promptTokens > toyContextTokens) {
      const overflow = { promptTokens, contextTokens: toyContextTokens, inputIndex: 0 };
      this.#over(
        attemptId,
        this.#held.fail({ attemptId, reason: { code: "context_length_exceeded", ...overflow } }, this.#nowMs),
      );
      return;
    }
    this.#ack(run, promptTokens);
    this.#step();
  }

  #ack(run: ToyRun, promptTokens: number): void {
    run.isAcked = true;
    run.readyAtMs = this.#ground.loop.nowMs + this.traits.prefillMs * this.slowness;
    this.#send(this.#held.ack({ attemptId: run.frame.attemptId, promptTokens }));
  }

  /** One step of every running task a round, as the real engine does it. */
  #step(): void {
    if (this.#isStepping || this.#running.size === 0) return;
    this.#isStepping = true;
    this.#after(this.traits.stepMs * this.slowness, () => {
      this.#isStepping = false;
      const nowMs = this.#ground.loop.nowMs;
      const ready = [...this.#running.values()].filter((run) => run.isAcked && run.readyAtMs <= nowMs);
      const pieces = ready.filter((run) => run.position < run.until).map(pieceOf);
      const isKept = this.#isWelcome || !this.#ground.bugs.has("pieceUnkept");
      const frames = isKept ? this.#held.pieces(pieces) : [];
      for (const run of ready) {
        if (run.position < run.until) continue;
        const { attemptId } = run.frame;
        frames.push(...this.#held.commit({ attemptId, finishReason: run.finishReason }, this.#nowMs));
        frames.push(...this.#freed(attemptId));
      }
      this.#send(frames);
      this.#leaveIfDrained();
      this.#step();
    });
  }

  #cancel(attemptId: AttemptId): void {
    const frames = this.#held.cancel(attemptId);
    const run = this.#running.get(attemptId);
    if (run !== undefined) {
      if (!run.isAcked) this.#ack(run, promptTokensOf(run.number));
      frames.push(...this.#held.commit({ attemptId, finishReason: "cancelled" }, this.#nowMs));
      frames.push(...this.#freed(attemptId));
    }
    this.#send(frames);
    this.#leaveIfDrained();
  }

  #over(attemptId: AttemptId, frames: NodeFrame[]): void {
    this.#send([...frames, ...this.#freed(attemptId)]);
    this.#leaveIfDrained();
  }

  /** What the router made of what is held: frames to send, attempts to stop. */
  #follow({ frames, stop }: HeldStep): void {
    const freed = this.#ground.bugs.has("orphanKept") ? [] : stop.flatMap((attemptId) => this.#freed(attemptId));
    this.#send([...frames, ...freed]);
    this.#leaveIfDrained();
  }

  /** A slot is free again. Returns the `pull` that says so. */
  #freed(attemptId: AttemptId): NodeFrame[] {
    if (!this.#running.delete(attemptId)) return [];
    this.#noteBusy();
    this.#expireSoon();
    if (!this.#isWelcome || this.#isDraining) return [];
    this.#granted += 1;
    return [{ type: "pull", model: this.traits.model, creditsTotal: this.#granted }];
  }

  #send(frames: readonly NodeFrame[]): void {
    if (this.#isWelcome) this.#link?.sendToRouter(frames);
  }

  #noteBusy(): void {
    if (this.#link !== undefined) {
      this.#link.heartbeatEveryMs = this.#running.size > 0 ? limits.busyHeartbeatMs : limits.heartbeatMs;
    }
  }

  #expireSoon(): void {
    if (this.#isExpiring) return;
    this.#isExpiring = true;
    this.#after(5_000, () => {
      this.#isExpiring = false;
      for (const attemptId of this.#held.expire(this.#nowMs)) this.#running.delete(attemptId);
      if (this.#held.holding().length > 0) this.#expireSoon();
      this.#leaveIfDrained();
    });
  }

  #leaveIfDrained(): void {
    if (!this.#isDraining || !this.#isWelcome) return;
    if (this.#running.size > 0 || !this.#held.isDelivered(this.#nowMs)) return;
    const link = this.#link;
    this.#ground.note(() => `${this.name} has drained`);
    this.#send([{ type: "drained" }]);
    this.#life += 1;
    this.#isAlive = false;
    this.#isWelcome = false;
    this.#link = undefined;
    link?.closeByNode(1000);
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
