import { type AttemptId, type NodeId, newAttemptId, newTaskId } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { poolName } from "../core/node-pool/pool-name.ts";
import type { TaskRecord } from "../core/record/entry.ts";
import { Refusal } from "../core/refusal.ts";
import { attemptRecord } from "../core/task/attempt.ts";
import { newTask, stepTask, type Task, type TaskEffect, type TaskEvent } from "../core/task/task.ts";
import { isTerminal } from "../core/task/task-moves.ts";
import type { TaskInput } from "../core/wire/task-input.ts";
import type { Principal } from "./authenticate.ts";
import type { Env } from "./env.ts";
import { type AttemptEvent, readAttemptEvents } from "./objects/attempt-stream.ts";
import type { RunResult, TaskFault } from "./objects/run.ts";
import type { ServedModel } from "./objects/status-object.ts";
import { faultCodes, taskRefusal } from "./task-refusal.ts";

/** A part of the answer as its reader sees it, whichever nodes it came from. */
export type AnswerEvent =
  | Extract<AttemptEvent, { type: "delta" }>
  /** What came so far was from a node that failed, and none of it was delivered: begin anew. */
  | { type: "restart" }
  | { type: "end"; finishReason: "stop" | "length"; promptTokens: number; completionTokens: number };

type ContextFault = Extract<TaskFault, { code: "context_length_exceeded" }>;

/** How often a node that turned out full or gone is replaced before the caller is told that there is no room. */
const maxPlacements = 64;
/** How often a pool that is reset under a claim is asked in all. */
const claimTries = 3;
/** A failover finds a node within this, also when the task has used up its wait. */
const failoverWaitMs = 5_000;

/**
 * One task from admission to end: finds a node, reads its answer, and replaces a node that fails while the caller has
 * seen nothing of the answer. The decisions are `core/task`'s; this does what they say.
 */
export class TaskRun {
  readonly #env: Env;
  readonly #principal: Principal;
  readonly #model: ServedModel;
  readonly #input: TaskInput;
  readonly #waitUntil: (promise: Promise<unknown>) => void;
  #task: Task;
  #effects: TaskEffect[];
  #events: ReadableStream<Uint8Array> | undefined;
  #current: AttemptId | undefined;
  /** Why no node can do the task as it is asked. */
  #fault: TaskFault | undefined;
  /** The claim that waits in the pool. */
  #ticket: AttemptId | undefined;
  /** Nodes that turned out to have no socket. */
  readonly #offline = new Set<NodeId>();

  constructor(options: {
    env: Env;
    principal: Principal;
    model: ServedModel;
    input: TaskInput;
    /** Aborts when the caller is gone. */
    signal: AbortSignal;
    waitUntil: (promise: Promise<unknown>) => void;
  }) {
    this.#env = options.env;
    this.#principal = options.principal;
    this.#model = options.model;
    this.#input = options.input;
    this.#waitUntil = options.waitUntil;
    const { task, effects } = newTask({ taskId: newTaskId(), maxAttempts: limits.attemptsPerTask }, Date.now());
    this.#task = task;
    // A caller who left while the body was read is not found a node.
    this.#effects = options.signal.aborted ? [] : effects;
    if (options.signal.aborted) this.cancel();
    else options.signal.addEventListener("abort", () => this.cancel(), { once: true });
  }

  get taskId(): Task["taskId"] {
    return this.#task.taskId;
  }

  get createdAtMs(): number {
    return this.#task.createdAtMs;
  }

  /** Nodes whose work is in the answer. */
  get nodeIds(): NodeId[] {
    return this.#task.attempts.filter((attempt) => attempt.state === "committed").map((attempt) => attempt.nodeId);
  }

  /** Resolves once a node has the task and its prompt fits. Throws the refusal to tell the caller otherwise. */
  async begin(): Promise<void> {
    for (;;) {
      const effect = this.#effects.shift();
      if (effect === undefined) return;
      await this.#perform(effect);
    }
  }

  /** The answer from the beginning. Ends with `end`; throws the refusal to tell the caller otherwise. */
  async *answer(): AsyncGenerator<AnswerEvent> {
    while (this.#task.state === "acked") {
      let hasBegun = false;
      let failure: { how: "socketGone" | "deadline" | "refuse"; reason: string } = {
        how: "socketGone",
        reason: "the answer was cut off",
      };
      try {
        for await (const event of readAttemptEvents(this.#stream())) {
          if (event.type === "delta") {
            hasBegun = true;
            yield event;
          } else if (event.type === "committed") {
            this.#apply({ ...event, attemptId: this.#attemptId() });
            yield { ...event, type: "end" };
            return;
          } else failure = event;
        }
      } catch (error) {
        if (error instanceof Refusal) throw error;
        failure.reason = `the node's object was reset: ${String(error)}`.slice(0, 200);
      }
      this.#apply({ type: "attemptFailed", attemptId: this.#attemptId(), how: failure.how, reason: failure.reason });
      await this.begin();
      if (hasBegun && this.#task.state === "acked") yield { type: "restart" };
    }
  }

  /** The caller has seen a part of the answer. */
  delivered(): void {
    if (!this.#task.isDelivered) this.#apply({ type: "delivered" });
  }

  /** The caller is gone; what works for it stops. Does nothing once the task has ended. */
  cancel(): void {
    this.#apply({ type: "cancelled" });
    for (const effect of this.#effects.splice(0)) this.#waitUntil(this.#perform(effect));
    if (this.#ticket !== undefined) this.#waitUntil(Promise.resolve(this.#pool().withdraw(this.#ticket)));
  }

  #apply(event: TaskEvent): void {
    const step = stepTask(this.#task, event, Date.now());
    this.#task = step.task;
    this.#effects.push(...step.effects);
  }

  async #perform(effect: TaskEffect): Promise<void> {
    switch (effect.type) {
      case "claim":
        await this.#place(effect.exclude);
        break;
      case "refuse":
        this.#record();
        throw taskRefusal(effect.code, { model: this.#model, input: this.#input, fault: this.#fault });
      case "cancelAttempt": {
        const isRecorded = await this.#node(effect.nodeId)
          .cancel(effect.attemptId)
          .catch(() => false);
        if (!isRecorded) this.#record();
        break;
      }
      case "forget":
        this.#record();
        break;
      case "answer":
        break;
    }
  }

  /** Finds a node that takes the task, and hands it over. */
  async #place(exclude: readonly NodeId[]): Promise<void> {
    for (let placement = 0; placement < maxPlacements; placement += 1) {
      const attemptId = newAttemptId();
      const claim = await this.#claim(attemptId, [...new Set([...exclude, ...this.#offline])]);
      if (this.#task.state !== "queued") {
        if (claim.kind === "lease") this.#waitUntil(Promise.resolve(this.#pool().withdraw(attemptId)));
        return;
      }
      if (claim.kind === "refuse") {
        this.#apply({ type: "unplaced", code: claim.code });
        return;
      }
      const result = await this.#run(attemptId, claim.nodeId);
      if (result.kind === "full" || result.kind === "offline") {
        if (result.kind === "offline") this.#offline.add(claim.nodeId);
        this.#waitUntil(Promise.resolve(this.#pool().withdraw(attemptId)));
        // The pool hears from the node in a moment; asking again at once would draw the same node.
        await new Promise((resolve) => setTimeout(resolve, Math.min(10 * placement, 200)));
        continue;
      }
      this.#begun(attemptId, claim.nodeId, result);
      return;
    }
    this.#apply({ type: "unplaced", code: "no_free_node" });
  }

  #begun(
    attemptId: AttemptId,
    nodeId: NodeId,
    result: Exclude<RunResult, { kind: "full" } | { kind: "offline" }>,
  ): void {
    if (isTerminal(this.#task.state)) {
      // The caller left while the node was being asked.
      this.#waitUntil(Promise.resolve(this.#node(nodeId).cancel(attemptId)));
      return;
    }
    this.#apply({ type: "assigned", attemptId, nodeId });
    switch (result.kind) {
      case "accepted":
        this.#current = attemptId;
        this.#events = result.events;
        this.#apply({ type: "acked", attemptId, promptTokens: result.promptTokens });
        break;
      case "failed":
        this.#apply({ type: "attemptFailed", attemptId, how: result.how, reason: result.reason });
        break;
      case "refused":
        if (this.#fitsElsewhere(result.fault)) {
          const reason = `the prompt has ${result.fault.promptTokens} tokens and this node reads ${result.fault.contextTokens}`;
          this.#apply({ type: "attemptFailed", attemptId, how: "refuse", reason });
          break;
        }
        this.#fault = result.fault;
        this.#apply({ type: "refused", attemptId, code: faultCodes[result.fault.code] });
    }
  }

  /** True where the prompt is too long for the node that refused it, and not for the node that reads most. */
  #fitsElsewhere(fault: TaskFault): fault is ContextFault {
    const { contextTokens } = this.#model.card;
    if (fault.code !== "context_length_exceeded") return false;
    return fault.contextTokens < contextTokens && fault.promptTokens < contextTokens;
  }

  async #claim(
    attemptId: AttemptId,
    exclude: NodeId[],
  ): Promise<
    { kind: "lease"; nodeId: NodeId } | { kind: "refuse"; code: "no_live_node" | "no_free_node" | "queue_full" }
  > {
    for (let tries = 1; ; tries += 1) {
      const leftMs = limits.queueWaitMs - (Date.now() - this.#task.createdAtMs);
      const waitMs = Math.max(leftMs, this.#task.attempts.length > 0 ? failoverWaitMs : 0);
      this.#ticket = attemptId;
      try {
        return await this.#pool().claim({ attemptId, exclude, waitMs });
      } catch (error) {
        // The pool was reset under us: it knows its members from storage, so asking again soon is enough.
        console.warn("edge: a pool did not answer a claim", { taskId: this.taskId, error: String(error) });
        if (tries === claimTries) return { kind: "refuse", code: "no_free_node" };
        await new Promise((resolve) => setTimeout(resolve, 100 * tries));
      } finally {
        this.#ticket = undefined;
      }
    }
  }

  async #run(attemptId: AttemptId, nodeId: NodeId): Promise<RunResult> {
    try {
      return await this.#node(nodeId).run({
        taskId: this.taskId,
        attemptId,
        accountId: this.#principal.accountId,
        keyId: this.#principal.keyId,
        modelName: this.#model.card.name,
        model: this.#model.card.fileSha256,
        input: this.#input,
        createdAtMs: this.#task.createdAtMs,
        priorAttempts: this.#task.attempts.map((attempt) => attemptRecord(attempt, Date.now())),
      });
    } catch (error) {
      return {
        kind: "failed",
        how: "socketGone",
        reason: `the node's object was reset: ${String(error)}`.slice(0, 200),
      };
    }
  }

  /** Keeps an end that no node's object can tell of. */
  #record(): void {
    const nowMs = Date.now();
    const record: TaskRecord = {
      kind: "task",
      taskId: this.taskId,
      ...this.#principal,
      modelName: this.#model.card.name,
      modelSha256: this.#model.card.fileSha256,
      task: this.#input.kind,
      state: this.#task.state,
      finishReason: null,
      errorCode: this.#task.errorCode,
      promptTokens: 0,
      completionTokens: 0,
      createdAtMs: this.#task.createdAtMs,
      endedAtMs: nowMs,
      attempts: this.#task.attempts.map((attempt) => attemptRecord(attempt, nowMs)),
    };
    const { accountId } = this.#principal;
    this.#waitUntil(this.#env.ACCOUNT.get(this.#env.ACCOUNT.idFromName(accountId)).recordTask(record));
  }

  #attemptId(): AttemptId {
    if (this.#current === undefined) throw new Error("no attempt has begun");
    return this.#current;
  }

  #stream(): ReadableStream<Uint8Array> {
    if (this.#events === undefined) throw new Error("no attempt has begun");
    return this.#events;
  }

  #pool(): ReturnType<Env["POOL"]["get"]> {
    return this.#env.POOL.get(this.#env.POOL.idFromName(poolName(this.#model.card.fileSha256)));
  }

  #node(nodeId: NodeId): ReturnType<Env["NODE"]["get"]> {
    return this.#env.NODE.get(this.#env.NODE.idFromName(nodeId));
  }
}
