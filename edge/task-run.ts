import { type AccountId, type AttemptId, type NodeId, newAttemptId, newTaskId, type TaskId } from "../core/ids.ts";
import type { AttemptEvent } from "../core/lease/attempt-event.ts";
import type { Ability } from "../core/node-pool/ability.ts";
import type { TaskRecord } from "../core/record/entry.ts";
import type { Refusal } from "../core/refusal.ts";
import { attemptRecord } from "../core/task/attempt.ts";
import type {
  Broken,
  CancelOutcome,
  ClaimOutcome,
  Delivery,
  DriverEffect,
  Making,
  TaskEnding,
} from "../core/task/driver-step.ts";
import { TaskDriver } from "../core/task/task-driver.ts";
import type { TaskInput } from "../core/wire/task-input.ts";
import type { Principal } from "./authenticate.ts";
import type { AttachResult, NodeStanding, RunResult } from "./objects/run.ts";
import type { ServedModel } from "./objects/status-object.ts";
import type { PoolCalls, TaskObjects } from "./task-objects.ts";
import { taskRefusal } from "./task-refusal.ts";
import { TellingReader } from "./telling-reader.ts";

/** An effect whose outcome the task waits for: there is at most one at a time. */
type Awaited = Extract<DriverEffect, { type: "claim" | "run" | "attach" | "wait" }>;

/** What a task asks of its nodes beyond their model; what is left out is no wish. */
export interface NodeWish {
  exclude?: readonly NodeId[];
  excludeOperators?: readonly AccountId[];
  needs?: Ability;
  /** Its answer is to be checked by a node of another operator: refused (`no_validator`) where none lives. */
  isToBeChecked?: boolean;
  /** The network's own work: it lets others go first for {@link patientMs}, and then waits in line with them. */
  isPatient?: boolean;
  /** The node is to tell the prompt's token ids. */
  wantsPromptIds?: boolean;
}

/** How long the network's own work lets every user's task go first. */
const patientMs = 10_000;
/** The class of those who let others go first (`core/node-pool/ticket.ts`). */
const patientPriority = -4;

/** How often an account's object is asked to keep a task's end. */
const recordTries = 5;

/**
 * One task from admission to end. What to do is {@link TaskDriver}'s to say; this does it with the real objects, and
 * hands the answer on as it comes.
 */
export class TaskRun {
  readonly taskId: TaskId = newTaskId();
  readonly createdAtMs = Date.now();
  readonly #objects: TaskObjects;
  readonly #principal: Principal;
  readonly #model: ServedModel;
  readonly #input: TaskInput;
  readonly #affinity: string | null;
  readonly #isWhole: boolean;
  readonly #wish: NodeWish;
  readonly #standings = new Map<AttemptId, NodeStanding>();
  readonly #waitUntil: (promise: Promise<unknown>) => void;
  readonly #driver: TaskDriver;
  /** What is there of the answer and was not handed on. */
  #deliveries: Delivery[] = [];
  #refusal: Refusal | undefined;
  #todo: Awaited | undefined;
  /** What is read now, and the attempt that it tells of. */
  #telling: { reader: TellingReader; attemptId: AttemptId } | undefined;
  /** The last {@link begin} or {@link next}. */
  #working: Promise<unknown> | undefined;
  /** One stub for all that is said to the pool, since its messages then keep their order. */
  #pool: PoolCalls | undefined;

  constructor(options: {
    objects: TaskObjects;
    principal: Principal;
    model: ServedModel;
    input: TaskInput;
    /** The conversation's key; null where the task belongs to none. */
    affinity: string | null;
    /** True where nobody reads before the end. */
    isWhole: boolean;
    wish?: NodeWish;
    /** Aborts when the caller is gone. */
    signal: AbortSignal;
    waitUntil: (promise: Promise<unknown>) => void;
  }) {
    const { input, model, signal } = options;
    this.#objects = options.objects;
    this.#principal = options.principal;
    this.#model = model;
    this.#input = input;
    this.#affinity = options.affinity;
    this.#isWhole = options.isWhole;
    this.#wish = options.wish ?? {};
    this.#waitUntil = options.waitUntil;
    this.#driver = new TaskDriver({
      taskId: this.taskId,
      kind: input.kind,
      inputs: input.kind === "embedding" ? input.texts.length : 0,
      mostContextTokens: model.card.contextTokens,
      newAttemptId,
      nowMs: this.createdAtMs,
    });
    // A caller who left while the body was read is not found a node.
    if (signal.aborted) this.cancel();
    else signal.addEventListener("abort", () => this.cancel(), { once: true });
  }

  /** Nodes whose pieces are in the answer, in order. */
  get nodeIds(): readonly NodeId[] {
    return this.#driver.nodeIds;
  }

  /** Every node that was given the task, in order. */
  get triedNodeIds(): readonly NodeId[] {
    return this.#driver.task.attempts.map(({ nodeId }) => nodeId);
  }

  /** How the answer came to be, as far as it has come. */
  get making(): Making {
    return this.#driver.making;
  }

  /** Time that its nodes worked on it, from each attempt's beginning to its end, in milliseconds. */
  get workedMs(): number {
    const attempts = this.#driver.task.attempts;
    return attempts.reduce((sum, { assignedAtMs, endedAtMs }) => sum + (endedAtMs ?? Date.now()) - assignedAtMs, 0);
  }

  /** What the object of an attempt's node said of it; `undefined` for an attempt that none accepted. */
  standingOf(attemptId: AttemptId): NodeStanding | undefined {
    return this.#standings.get(attemptId);
  }

  /** Tokens of the prompt, as the node counts them that took the task; 0 before. */
  get promptTokens(): number {
    return this.#driver.task.attempts.at(-1)?.promptTokens ?? 0;
  }

  /** Resolves once a node has the task and its prompt fits. Throws the refusal to tell the caller otherwise. */
  begin(): Promise<void> {
    this.#take(this.#driver.start(Date.now()));
    const working = this.#work({ untilBegun: true });
    this.#working = working;
    return working;
  }

  /** What is there of the answer and was not given before, without waiting. */
  ready(): Delivery[] {
    return this.#deliveries.splice(0);
  }

  /**
   * The next parts of the answer, all that are there; the last is `end`. Empty once there is no more, which without an
   * `end` means that the caller left. Throws the refusal to tell the caller otherwise.
   */
  next(): Promise<Delivery[]> {
    const working = this.#work({ untilBegun: false }).then(() => this.ready());
    this.#working = working;
    return working;
  }

  /** The caller is gone; what works for it stops. Does nothing once the task has ended. */
  cancel(): void {
    const effects = this.#driver.cancel(Date.now());
    if (effects.length === 0) return;
    this.#take(effects);
    // What is on its way to this task is still to be given back when it comes.
    if (this.#working !== undefined) this.#waitUntil(Promise.allSettled([this.#working]));
  }

  /** Goes on until there is something for the caller, or nothing left to do. */
  async #work({ untilBegun }: { untilBegun: boolean }): Promise<void> {
    for (;;) {
      const todo = this.#todo;
      if (this.#deliveries.length > 0) return;
      if (todo !== undefined) {
        this.#todo = undefined;
        await this.#perform(todo);
      } else if (this.#refusal !== undefined) throw this.#refusal;
      else if (this.#telling === undefined || untilBegun) return;
      else await this.#read(this.#telling);
    }
  }

  async #read({ reader, attemptId }: { reader: TellingReader; attemptId: AttemptId }): Promise<void> {
    let events: AttemptEvent[] | undefined;
    try {
      events = await reader.next();
    } catch (error) {
      this.#broken("telling", error);
    }
    const nowMs = Date.now();
    this.#take(
      events === undefined ? this.#driver.broken(attemptId, nowMs) : this.#driver.told(attemptId, events, nowMs),
    );
    if (!this.#driver.isReading) this.#hangUp();
  }

  /** Sorts what is to be done: what needs no waiting is begun at once. */
  #take(effects: readonly DriverEffect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case "deliver":
        case "deliverVectors":
        case "deliverReport":
        case "restart":
        case "end":
          this.#deliveries.push(effect);
          break;
        case "claim":
        case "run":
        case "attach":
        case "wait":
          this.#todo = effect;
          break;
        case "withdraw":
          this.#waitUntil(this.#withdraw(effect.attemptId));
          break;
        case "cancelAttempt":
          this.#waitUntil(this.#cancelAttempt(effect));
          break;
        case "record":
          this.#waitUntil(this.#record(effect.ending));
          break;
        case "refuse":
          this.#refusal = taskRefusal(effect.code, { model: this.#model, input: this.#input, fault: effect.fault });
      }
    }
    if (this.#driver.isOver) this.#hangUp();
  }

  async #perform(todo: Awaited): Promise<void> {
    switch (todo.type) {
      case "claim": {
        const outcome = await this.#claim(todo);
        this.#take(this.#driver.claimed(todo.attemptId, outcome, Date.now()));
        break;
      }
      case "run": {
        const outcome = await this.#run(todo);
        this.#take(this.#driver.ran(todo.attemptId, outcome, Date.now()));
        this.#readOn(todo.attemptId, outcome);
        break;
      }
      case "attach": {
        this.#hangUp();
        const outcome = await this.#attach(todo);
        this.#take(this.#driver.attached(todo.attemptId, outcome, Date.now()));
        this.#readOn(todo.attemptId, outcome);
        break;
      }
      case "wait":
        await pause(todo.ms);
        this.#take(this.#driver.waited(Date.now()));
    }
  }

  async #claim({ type: _, ...claim }: Extract<Awaited, { type: "claim" }>): Promise<ClaimOutcome> {
    const { accountId } = this.#principal;
    const { exclude = [], excludeOperators, needs, isToBeChecked } = this.#wish;
    const request = {
      ...{ ...claim, accountId, affinity: this.#affinity },
      ...(exclude.length === 0 ? {} : { exclude: [...new Set([...claim.exclude, ...exclude])] }),
      ...(excludeOperators === undefined ? {} : { excludeOperators }),
      ...(needs === undefined ? {} : { needs }),
      ...(isToBeChecked === undefined ? {} : { isToBeChecked }),
    };
    try {
      if (this.#wish.isPatient !== true) return await this.#poolStub().claim(request);
      const waitMs = Math.min(request.waitMs, patientMs);
      const early = await this.#poolStub().claim({ ...request, waitMs, priority: patientPriority });
      const isWaitOver = early.kind === "refuse" && early.code === "no_free_node" && waitMs < request.waitMs;
      return isWaitOver ? await this.#poolStub().claim({ ...request, waitMs: request.waitMs - waitMs }) : early;
    } catch (error) {
      // A stub whose object was reset stays broken.
      this.#pool = undefined;
      return this.#broken("pool", error);
    }
  }

  async #run({ attemptId, nodeId, continues }: Extract<Awaited, { type: "run" }>): Promise<RunResult | Broken> {
    const { card } = this.#model;
    try {
      return await this.#objects.node(nodeId).run({
        taskId: this.taskId,
        attemptId,
        ...this.#principal,
        modelName: card.name,
        model: card.fileSha256,
        input: this.#input,
        continues,
        isWhole: this.#isWhole,
        ...(this.#wish.wantsPromptIds === true ? { wantsPromptIds: true } : {}),
        createdAtMs: this.createdAtMs,
        priorAttempts: this.#driver.task.attempts.map((attempt) => attemptRecord(attempt, Date.now())),
      });
    } catch (error) {
      return this.#broken(nodeId, error);
    }
  }

  async #attach({ type: _, nodeId, ...wish }: Extract<Awaited, { type: "attach" }>): Promise<AttachResult | Broken> {
    try {
      return await this.#objects.node(nodeId).attach({ ...wish, isWhole: this.#isWhole });
    } catch (error) {
      return this.#broken(nodeId, error);
    }
  }

  /** Reads the rest of an accepted attempt, unless it is of no use any more. */
  #readOn(attemptId: AttemptId, outcome: RunResult | AttachResult | Broken): void {
    if (outcome.kind !== "accepted") return;
    if (outcome.node !== undefined) this.#standings.set(attemptId, outcome.node);
    if (outcome.events === null) return;
    const reader = new TellingReader(outcome.events);
    if (this.#driver.isReading) this.#telling = { reader, attemptId };
    else reader.cancel();
  }

  #hangUp(): void {
    this.#telling?.reader.cancel();
    this.#telling = undefined;
  }

  async #cancelAttempt(effect: Extract<DriverEffect, { type: "cancelAttempt" }>): Promise<void> {
    const { attemptId, nodeId, afterMs } = effect;
    if (afterMs > 0) await pause(afterMs);
    let answer: CancelOutcome;
    try {
      answer = { kind: (await this.#objects.node(nodeId).cancel(attemptId)) ? "known" : "unknown" };
    } catch (error) {
      answer = this.#broken(nodeId, error);
    }
    this.#take(this.#driver.cancelAnswered(attemptId, answer));
  }

  async #withdraw(attemptId: AttemptId): Promise<void> {
    try {
      await this.#poolStub().withdraw(attemptId);
    } catch (error) {
      // A pool that was reset has forgotten the claim; one that was not voids it soon.
      this.#broken("pool", error);
    }
  }

  #broken(object: string, error: unknown): Broken {
    console.warn("edge: an object did not answer", { taskId: this.taskId, object, error: String(error) });
    return { kind: "broken", reason: String(error).slice(0, 200) };
  }

  /** Keeps an end that no node's object can tell of. An account's object that is reset under it is asked again. */
  async #record(ending: TaskEnding): Promise<void> {
    // The network looks for a node again and again where none is free: only what was tried is a task.
    if (this.#wish.isPatient === true && ending.attempts.length === 0) return;
    const record: TaskRecord = {
      kind: "task",
      taskId: this.taskId,
      ...this.#principal,
      modelName: this.#model.card.name,
      modelSha256: this.#model.card.fileSha256,
      task: this.#input.kind,
      createdAtMs: this.createdAtMs,
      ...ending,
    };
    for (let tries = 1; tries <= recordTries; tries += 1) {
      try {
        await this.#objects.account(this.#principal.accountId).recordTask(record);
        return;
      } catch (error) {
        this.#broken("account", error);
        await pause(100 * 2 ** tries);
      }
    }
    console.error("edge: a task's end is not on record", { taskId: this.taskId, state: ending.state });
  }

  #poolStub(): PoolCalls {
    this.#pool ??= this.#objects.pool();
    return this.#pool;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
