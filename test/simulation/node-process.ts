import type { AttemptId, ModelHash, NodeId } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import type { HeldAttempt } from "../../core/wire/node-frame.ts";
import type { RouterFrame } from "../../core/wire/router-frame.ts";
import { backoffMs } from "../../worker-node/connection/backoff.ts";
import { type Ground, holds } from "./ground.ts";
import type { Link, LinkEnd } from "./link.ts";
import { type RunnerOwner, type ToyRun, ToyRunner } from "./toy-runner.ts";

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

/** What a hello brings of an earlier socket of the same process. */
export interface Resume {
  token: string;
  holding: HeldAttempt[];
}

/** Opens a socket at the node's object. */
export type OpenLink = (end: LinkEnd<RouterFrame>, resume: Resume | undefined) => Link;

/** A socket that lasted this long was no failure. */
const steadyMs = 1_000;

/** A node's process: its tasks, and the one socket that it dials again and again. It can be killed, stopped and drained. */
export class NodeProcess implements RunnerOwner {
  readonly traits: NodeTraits;
  readonly #ground: Ground;
  readonly #open: OpenLink;
  #runner: ToyRunner;
  #link: Link | undefined;
  #isWelcome = false;
  #resumeToken: string | undefined;
  #failures = 0;
  #welcomedAtMs = 0;
  /** Counts processes: what an earlier one began means nothing to a later one. */
  #life = 0;
  #isAlive = false;
  /** What is to be done once the process runs again; undefined while it runs. */
  #owed: (() => void)[] | undefined;
  #heardAtMs = 0;
  /** How many things keep every dial of this node from getting through. */
  #obstacles = 0;
  /** Milliseconds that its clock is ahead. */
  skewMs = 0;
  slowness = 1;
  /** Since when it runs without having been stopped. */
  awakeSinceMs: number;

  constructor(ground: Ground, traits: NodeTraits, open: OpenLink) {
    this.#ground = ground;
    this.traits = traits;
    this.#open = open;
    this.awakeSinceMs = ground.loop.nowMs;
    this.#runner = new ToyRunner(ground, { traits, owner: this });
  }

  get name(): string {
    return this.traits.nodeId;
  }

  get nowMs(): number {
    return this.#ground.loop.nowMs + this.skewMs;
  }

  get isWelcome(): boolean {
    return this.#isWelcome;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isPaused(): boolean {
    return this.#owed !== undefined;
  }

  /** True from SIGTERM until it is gone. */
  get isDraining(): boolean {
    return this.#isAlive && this.#runner.isDraining;
  }

  get link(): Link | undefined {
    return this.#link;
  }

  get runs(): ReadonlyMap<AttemptId, ToyRun> {
    return this.#runner.runs;
  }

  holding(): HeldAttempt[] {
    return this.#runner.holding();
  }

  /** A fresh process: it holds nothing and dials. */
  start(): void {
    this.#ground.note(() => `${this.name} starts`);
    this.#life += 1;
    this.#isAlive = true;
    this.#owed = undefined;
    this.#runner = new ToyRunner(this.#ground, { traits: this.traits, owner: this });
    this.#resumeToken = undefined;
    this.#failures = 0;
    this.awakeSinceMs = this.#ground.loop.nowMs;
    this.#dial();
  }

  /** SIGKILL. */
  kill(): void {
    this.#ground.note(() => `${this.name} is killed`);
    const link = this.#link;
    this.#end();
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

  /** SIGTERM: takes no more, ends what runs, says so and goes. */
  drain(): void {
    if (this.#isAlive && !this.#runner.isDraining) this.#runner.drain();
  }

  breakEngine(): void {
    this.#runner.breakEngine();
  }

  /** No dial gets through until {@link reach}, as often as this was said. */
  cutOff(): void {
    this.#obstacles += 1;
  }

  reach(): void {
    this.#obstacles -= 1;
  }

  /** The link is blocked from now on: the node finds out as it does, by silence. */
  watchSilence(): void {
    const link = this.#link;
    if (link === undefined) return;
    this.after(1_000, () => {
      if (this.#link !== link || !link.isBlocked) return;
      const silentMs = this.#ground.loop.nowMs - this.#heardAtMs;
      const boundMs = this.runs.size > 0 ? limits.busySilenceMs : 2 * limits.heartbeatMs;
      if (silentMs >= boundMs) this.#lose(() => link.dropByNode());
      else this.watchSilence();
    });
  }

  send(frames: Parameters<RunnerOwner["send"]>[0]): void {
    if (this.#isWelcome) this.#link?.sendToRouter(frames);
  }

  after(delayMs: number, act: () => void): void {
    const life = this.#life;
    this.#ground.loop.after(delayMs, () => {
      if (life === this.#life) this.#whenAwake(act);
    });
  }

  changed(): void {
    if (this.#link !== undefined) {
      this.#link.heartbeatEveryMs = this.runs.size > 0 ? limits.busyHeartbeatMs : limits.heartbeatMs;
    }
    if (!this.#isAlive || !this.#isWelcome || !this.#runner.isDone) return;
    this.#ground.note(() => `${this.name} has drained`);
    this.send([{ type: "drained" }]);
    const link = this.#link;
    this.#end();
    link?.closeByNode(1000);
  }

  #whenAwake(act: () => void): void {
    if (this.#owed === undefined) act();
    else this.#owed.push(act);
  }

  /** The process is no more. */
  #end(): void {
    this.#life += 1;
    this.#isAlive = false;
    this.#owed = undefined;
    this.#link = undefined;
    this.#isWelcome = false;
    this.#runner = new ToyRunner(this.#ground, { traits: this.traits, owner: this });
  }

  #dial(): void {
    const life = this.#life;
    this.after(4 * this.traits.latencyMs, () => {
      const token = this.#resumeToken;
      const resume = token === undefined ? undefined : { token, holding: this.holding() };
      holds((resume?.holding.length ?? 0) <= limits.heldAttempts, "no queue grows past its bound", () => this.name);
      if (this.#obstacles > 0) {
        this.#redial();
        return;
      }
      const heard = (act: () => void) => {
        if (life === this.#life) this.#whenAwake(act);
      };
      const end: LinkEnd<RouterFrame> = {
        message: (frames) => heard(() => this.#hear(link, frames)),
        closed: (code) => heard(() => this.#closed(link, code)),
      };
      const link: Link = this.#open(end, resume);
      this.#link = link;
      this.#heardAtMs = this.#ground.loop.nowMs;
      this.after(limits.helloMs, () => {
        if (this.#link === link && !this.#isWelcome) this.#lose(() => link.dropByNode());
      });
    });
  }

  #redial(): void {
    const waitMs = backoffMs(this.#failures, { isBusy: this.runs.size > 0, random: this.#ground.dice.random });
    this.#failures += 1;
    this.after(waitMs, () => this.#dial());
  }

  #closed(link: Link, code: number): void {
    if (this.#link !== link) return;
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
    this.#runner.lost();
    this.#redial();
  }

  #hear(link: Link, frames: readonly RouterFrame[]): void {
    if (this.#link !== link) return;
    this.#heardAtMs = this.#ground.loop.nowMs;
    for (const frame of frames) {
      if (frame.type === "welcome") {
        this.#isWelcome = true;
        this.#welcomedAtMs = this.#ground.loop.nowMs;
        this.#resumeToken = frame.resumeToken;
      }
      this.#runner.take(frame);
    }
  }
}
