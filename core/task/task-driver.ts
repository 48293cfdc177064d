import type { AttemptId, NodeId, TaskId } from "../ids.ts";
import type { AttemptEvent } from "../lease/attempt-event.ts";
import type { FailedHow, TaskFault } from "../lease/lease-effect.ts";
import { limits } from "../limits.ts";
import type { TaskKind } from "../wire/task-input.ts";
import { AnswerSoFar } from "./answer-so-far.ts";
import { attemptRecord } from "./attempt.ts";
import type { Phase } from "./driver-phase.ts";
import type {
  AttachOutcome,
  CancelOutcome,
  ClaimOutcome,
  DriverEffect,
  Making,
  RunOutcome,
  TaskEnding,
} from "./driver-step.ts";
import { fateOfRefusal } from "./fate-of-refusal.ts";
import { Leaving } from "./leaving.ts";
import {
  maxPlacements,
  maxPoolBreaks,
  maxReturns,
  placementPauseMs,
  poolPauseMs,
  returnPauseMs,
  returnWithinMs,
} from "./pauses.ts";
import { newTask, stepTask, type Task, type TaskEffect, type TaskEvent } from "./task.ts";

type Work = { attemptId: AttemptId; nodeId: NodeId };

const nothingYet: readonly number[] = [];

/**
 * One task's way through the network, from its first claim to its end: finds a node, hands the task over, takes the
 * answer piece by piece, comes back where a telling broke, and goes on with another node where one is lost.
 *
 * A pure machine: what happened comes in by its methods with the time, milliseconds since the epoch; what to do comes
 * out, in order. The Worker and the simulator perform it. What speaks of an attempt that is not the present one changes
 * nothing, but for what a caller who left has yet to stop.
 */
export class TaskDriver {
  readonly #newAttemptId: () => AttemptId;
  readonly #inputs: number;
  readonly #isCheck: boolean;
  readonly #mostContextTokens: number;
  readonly #answer = new AnswerSoFar();
  #task: Task;
  #phase: Phase = { name: "new" };
  /** Whom the next claims ask for, and until when. */
  #wanted: Extract<TaskEffect, { type: "claim" }> = { type: "claim", exclude: [], avoid: [], isPatient: false };
  #searchEndsMs: number;
  #placements = 0;
  #poolBreaks = 0;
  /** Nodes that turned out to have no socket. */
  readonly #offline = new Set<NodeId>();
  /** Since when the present attempt's telling is broken, how often it was asked for since, and whether in vain. */
  #return: { sinceMs: number; tries: number; isHeard: boolean } | undefined;
  /** What the attempt stands by that made the answer whole. */
  #stands: Pick<Making, "commitment" | "promptIds"> = { commitment: null, promptIds: null };
  /** What the nodes lacked that were asked last, where others of the same model may have it. */
  #lack: Extract<TaskFault, { code: "unsupported" }> | undefined;
  /** Tokens of the prompt, as the last node that acked counts them. */
  #promptTokens = 0;
  #leaving: Leaving | undefined;

  constructor(options: {
    taskId: TaskId;
    kind: TaskKind;
    /** Texts to embed; 0 for a chat. */
    inputs: number;
    /** What the node that reads most can read, in tokens. */
    mostContextTokens: number;
    newAttemptId: () => AttemptId;
    nowMs: number;
  }) {
    const { taskId, kind, nowMs } = options;
    this.#newAttemptId = options.newAttemptId;
    this.#inputs = options.inputs;
    this.#isCheck = kind === "check";
    this.#mostContextTokens = options.mostContextTokens;
    this.#searchEndsMs = nowMs + limits.queueWaitMs;
    const { attemptsPerTask: maxAttempts, barrenAttempts: maxBarrenAttempts } = limits;
    this.#task = newTask({ taskId, isContinuable: kind === "chat", maxAttempts, maxBarrenAttempts }, nowMs).task;
  }

  get task(): Task {
    return this.#task;
  }

  /** Nodes whose pieces are in the answer, in order. */
  get nodeIds(): readonly NodeId[] {
    return this.#answer.nodeIds;
  }

  /** How the answer came to be, as far as it has come; what was committed to is known once it is whole. */
  get making(): Making {
    const { tokenIds, text, parts } = this.#answer;
    return { tokenIds, text, parts, ...this.#stands };
  }

  /** The piece that is due of the present attempt. */
  get nextSeq(): number {
    return this.#answer.nextSeq;
  }

  /** True while the pieces of an attempt are due: its owner feeds {@link told} until this ends. */
  get isReading(): boolean {
    return this.#phase.name === "reading";
  }

  /** True once nothing more comes for the caller. */
  get isOver(): boolean {
    return this.#phase.name === "over";
  }

  /** Asks for a first node. Nothing for a task whose caller has left already. */
  start(nowMs: number): DriverEffect[] {
    return this.#phase.name === "new" ? this.#claim(nowMs) : [];
  }

  /** What became of a claim. */
  claimed(attemptId: AttemptId, outcome: ClaimOutcome, nowMs: number): DriverEffect[] {
    const phase = this.#phase;
    if (phase.name !== "claiming" || phase.attemptId !== attemptId) {
      // The withdrawal may have come before the claim did.
      return outcome.kind === "refuse" ? [] : [{ type: "withdraw", attemptId }];
    }
    switch (outcome.kind) {
      case "lease": {
        const { nodeId } = outcome;
        this.#poolBreaks = 0;
        this.#phase = { name: "running", attemptId, nodeId, sentAtMs: nowMs };
        const { tokenIds } = this.#answer;
        return [{ type: "run", attemptId, nodeId, continues: tokenIds.length > 0 ? [...tokenIds] : nothingYet }];
      }
      case "refuse":
        // Whoever is left lacks what the task asks for: it is that which the caller can change.
        if (this.#lack !== undefined && outcome.code === "no_live_node") {
          return this.#apply({ type: "unplaced", code: "unsupported_parameter" }, nowMs, this.#lack);
        }
        // A task under way is not given up while its time lasts.
        if (this.#wanted.isPatient && nowMs < this.#searchEndsMs) return this.#placeAgain(outcome.code, nowMs);
        return this.#apply({ type: "unplaced", code: outcome.code }, nowMs);
      case "broken":
        // It may have queued the ticket, or given a lease that nobody heard of.
        this.#poolBreaks += 1;
        return [
          { type: "withdraw", attemptId },
          ...(nowMs >= this.#searchEndsMs || (this.#poolBreaks >= maxPoolBreaks && !this.#wanted.isPatient)
            ? this.#apply({ type: "unplaced", code: "no_free_node" }, nowMs)
            : this.#pause(poolPauseMs(this.#poolBreaks))),
        ];
    }
  }

  /** What became of handing the task over. */
  ran(attemptId: AttemptId, outcome: RunOutcome, nowMs: number): DriverEffect[] {
    const phase = this.#phase;
    if (phase.name !== "running" || phase.attemptId !== attemptId) return this.#lateCall(attemptId, outcome);
    if (outcome.kind === "full" || outcome.kind === "offline") {
      if (outcome.kind === "offline") this.#offline.add(phase.nodeId);
      return [{ type: "withdraw", attemptId }, ...this.#placeAgain("no_free_node", nowMs)];
    }
    // The attempt began when the task was sent, not when its node answered.
    this.#task = stepTask(this.#task, { type: "assigned", ...phase }, phase.sentAtMs).task;
    this.#answer.begin(phase);
    this.#return = undefined;
    switch (outcome.kind) {
      case "accepted":
        return this.#accepted(phase, outcome, nowMs);
      case "failed":
        return this.#failed(attemptId, outcome.how, outcome.reason, nowMs);
      case "refused":
        return this.#refused(attemptId, outcome.fault, nowMs);
      case "broken":
        return this.#comeBack(phase, nowMs);
    }
  }

  /** Events of the attempt that is being read, in order, as many as are there. */
  told(attemptId: AttemptId, events: readonly AttemptEvent[], nowMs: number): DriverEffect[] {
    const phase = this.#phase;
    if (phase.name !== "reading" || phase.attemptId !== attemptId) return [];
    const effects: DriverEffect[] = [];
    for (const event of events) {
      if (event.type !== "delta") {
        effects.push(...this.#ended(phase, event, nowMs));
        return effects;
      }
      const taken = this.#answer.take(event);
      if (taken === "seen") continue;
      if (taken === "gap") {
        effects.push(...this.#comeBack(phase, nowMs));
        return effects;
      }
      if (this.#answer.nextSeq === 1) this.#task = stepTask(this.#task, { type: "delivered" }, nowMs).task;
      this.#return = undefined;
      effects.push(taken);
    }
    return effects;
  }

  /** The telling that is being read stopped without an end. */
  broken(attemptId: AttemptId, nowMs: number): DriverEffect[] {
    const phase = this.#phase;
    return phase.name === "reading" && phase.attemptId === attemptId ? this.#comeBack(phase, nowMs) : [];
  }

  /** What became of coming back for an attempt. */
  attached(attemptId: AttemptId, outcome: AttachOutcome, nowMs: number): DriverEffect[] {
    const phase = this.#phase;
    if (phase.name !== "returning" || phase.attemptId !== attemptId || !phase.isCallOut) {
      return this.#lateCall(attemptId, outcome);
    }
    switch (outcome.kind) {
      case "accepted":
        if (this.#return !== undefined) this.#return.isHeard = true;
        return this.#accepted(phase, outcome, nowMs);
      case "unknown":
        return this.#failed(attemptId, "socketGone", "the node's object was reset", nowMs);
      case "broken":
        return this.#comeBack(phase, nowMs);
    }
  }

  /** The pause is over. */
  waited(nowMs: number): DriverEffect[] {
    const phase = this.#phase;
    if (phase.name === "pausing") return this.#claim(nowMs);
    if (phase.name === "returning" && !phase.isCallOut) return this.#attach(phase);
    return [];
  }

  /** The caller is gone: what works for it stops, and what is still on its way to it is stopped when it comes. */
  cancel(nowMs: number): DriverEffect[] {
    const phase = this.#phase;
    const step = stepTask(this.#task, { type: "cancelled" }, nowMs);
    if (step.ignored !== undefined) return [];
    this.#task = step.task;
    this.#phase = { name: "over" };
    switch (phase.name) {
      case "claiming":
        return [{ type: "withdraw", attemptId: phase.attemptId }, this.#record(nowMs)];
      case "running":
      case "reading":
      case "returning": {
        const isCallOut = phase.name === "running" || (phase.name === "returning" && phase.isCallOut);
        this.#leaving = new Leaving({ ...phase, isCallOut, record: () => this.#record(nowMs) });
        return this.#leaving.cancel();
      }
      default:
        return [this.#record(nowMs)];
    }
  }

  /** What a node's object said to a `cancelAttempt`. */
  cancelAnswered(attemptId: AttemptId, answer: CancelOutcome): DriverEffect[] {
    // An attempt that was given up for another has its answer here too, and nobody waits for it.
    return this.#leaving?.attemptId === attemptId ? this.#leaving.answered(answer) : [];
  }

  #lateCall(attemptId: AttemptId, outcome: RunOutcome | AttachOutcome): DriverEffect[] {
    return this.#leaving?.attemptId === attemptId ? this.#leaving.called(outcome) : [];
  }

  #claim(nowMs: number): DriverEffect[] {
    const attemptId = this.#newAttemptId();
    this.#phase = { name: "claiming", attemptId };
    const { exclude } = this.#wanted;
    // A node that may do what others could not is there now or not at all.
    const isPatient = this.#wanted.isPatient && this.#lack === undefined;
    const avoid = [...new Set([...this.#wanted.avoid, ...this.#offline])].filter((nodeId) => !exclude.includes(nodeId));
    const waitMs = Math.max(0, this.#searchEndsMs - nowMs);
    return [{ type: "claim", attemptId, exclude, avoid, isPatient, waitMs }];
  }

  #placeAgain(code: "no_live_node" | "no_free_node" | "queue_full" | "no_validator", nowMs: number): DriverEffect[] {
    this.#placements += 1;
    if (this.#placements >= maxPlacements) return this.#apply({ type: "unplaced", code }, nowMs);
    return this.#pause(placementPauseMs(this.#placements));
  }

  #pause(ms: number): DriverEffect[] {
    this.#phase = { name: "pausing" };
    return [{ type: "wait", ms }];
  }

  #accepted(
    { attemptId, nodeId }: Work,
    outcome: Extract<RunOutcome, { kind: "accepted" }>,
    nowMs: number,
  ): DriverEffect[] {
    const { promptTokens, early, events } = outcome;
    this.#task = stepTask(this.#task, { type: "acked", attemptId, promptTokens }, nowMs).task;
    this.#lack = undefined;
    this.#promptTokens = promptTokens;
    this.#answer.acked(promptTokens);
    this.#phase = { name: "reading", attemptId, nodeId };
    const effects = this.told(attemptId, early, nowMs);
    return events === null ? [...effects, ...this.broken(attemptId, nowMs)] : effects;
  }

  #ended(work: Work, event: Exclude<AttemptEvent, { type: "delta" }>, nowMs: number): DriverEffect[] {
    const { attemptId } = work;
    if (event.type === "failed") return this.#failed(attemptId, event.how, event.reason, nowMs);
    const { promptTokens, completionTokens, finishReason, stopSequence, commitment, promptIds } = event;
    // An end that counts more than came was told past a piece.
    const { attemptTokens, vectors, hasReport } = this.#answer;
    const isWhole = completionTokens === attemptTokens && vectors.size === this.#inputs && hasReport === this.#isCheck;
    if (!isWhole) return this.#comeBack(work, nowMs);
    this.#task = stepTask(this.#task, { type: "committed", attemptId, promptTokens, completionTokens }, nowMs).task;
    this.#answer.end();
    this.#stands = { commitment: commitment ?? null, promptIds: promptIds ?? null };
    this.#phase = { name: "over" };
    const tokens = { promptTokens, completionTokens: this.#answer.tokenIds.length };
    return [{ type: "end", finishReason, ...(stopSequence === undefined ? {} : { stopSequence }), ...tokens }];
  }

  /** The telling broke: its node's object may know the attempt still, and is asked a few times. */
  #comeBack({ attemptId, nodeId }: Work, nowMs: number): DriverEffect[] {
    const known = this.#return;
    const isLongAgo = known !== undefined && nowMs - known.sinceMs > returnWithinMs;
    // What was heard since broke anew.
    const now = known === undefined || (isLongAgo && known.isHeard) ? { sinceMs: nowMs, tries: 0 } : known;
    const pauseMs = returnPauseMs(now.tries);
    this.#return = { ...now, isHeard: false };
    if (now.tries >= maxReturns || nowMs + pauseMs - now.sinceMs > returnWithinMs) {
      const cancel: DriverEffect = { type: "cancelAttempt", attemptId, nodeId, afterMs: 0 };
      return [cancel, ...this.#failed(attemptId, "socketGone", "the node's object no longer tells", nowMs)];
    }
    this.#return.tries += 1;
    if (pauseMs === 0) return this.#attach({ attemptId, nodeId });
    this.#phase = { name: "returning", attemptId, nodeId, isCallOut: false };
    return [{ type: "wait", ms: pauseMs }];
  }

  #attach({ attemptId, nodeId }: Work): DriverEffect[] {
    this.#phase = { name: "returning", attemptId, nodeId, isCallOut: true };
    const { nextSeq, attemptTokens: completionTokens, vectors } = this.#answer;
    return [{ type: "attach", attemptId, nodeId, nextSeq, completionTokens, vectors: [...vectors] }];
  }

  /** No node can do the task as it is asked, unless another may. */
  #refused(attemptId: AttemptId, fault: TaskFault, nowMs: number): DriverEffect[] {
    const fate = fateOfRefusal(fault, { task: this.#task, mostContextTokens: this.#mostContextTokens });
    if (fate.kind === "final") return this.#apply({ type: "refused", attemptId, code: fate.code }, nowMs, fault);
    if (fault.code === "unsupported" && !this.#task.isDelivered) this.#lack = fault;
    return this.#failed(attemptId, "refuse", fate.reason, nowMs);
  }

  /** The attempt is over without the answer; the task goes on with another. */
  #failed(attemptId: AttemptId, how: FailedHow, reason: string, nowMs: number): DriverEffect[] {
    const completionTokens = this.#answer.attemptTokens;
    const dropped: DriverEffect[] = this.#answer.restart() ? [{ type: "restart" }] : [];
    this.#searchEndsMs = nowMs + limits.failoverWaitMs;
    this.#placements = 0;
    this.#poolBreaks = 0;
    const failed: TaskEvent = { type: "attemptFailed", attemptId, how, reason: reason.slice(0, 200), completionTokens };
    const effects = this.#apply(failed, nowMs);
    if (this.#phase.name === "claiming" && this.#answer.tokenIds.length > limits.continuedTokens) {
      // No frame holds so much: nobody can go on.
      return this.#apply({ type: "unplaced", code: "no_free_node" }, nowMs);
    }
    return [...dropped, ...effects];
  }

  /** Moves the task, and says what its new state asks for. */
  #apply(event: TaskEvent, nowMs: number, fault?: TaskFault): DriverEffect[] {
    const { task, effects } = stepTask(this.#task, event, nowMs);
    this.#task = task;
    return effects.flatMap((effect): DriverEffect[] => {
      if (effect.type === "claim") {
        this.#wanted = effect;
        return this.#claim(nowMs);
      }
      if (effect.type !== "refuse") return [];
      this.#phase = { name: "over" };
      return [this.#record(nowMs), { type: "refuse", code: effect.code, fault }];
    });
  }

  /** How the task ended. Only what a caller who left has had is billed. */
  #record(nowMs: number): DriverEffect {
    const { state, errorCode, attempts } = this.#task;
    const isBilled = state === "cancelled";
    const ending: TaskEnding = {
      state,
      finishReason: null,
      errorCode,
      promptTokens: isBilled ? this.#promptTokens : 0,
      completionTokens: isBilled ? this.#answer.tokenIds.length : 0,
      endedAtMs: nowMs,
      attempts: attempts.map((attempt) => attemptRecord(attempt, nowMs)),
    };
    return { type: "record", ending };
  }
}
