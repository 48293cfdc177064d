import { type AttemptId, attemptIdSchema, type NodeId, nodeIdSchema, taskIdSchema } from "../ids.ts";
import type { AttemptEvent } from "../lease/attempt-event.ts";
import { pick } from "../testing/seeded-random.ts";
import type { AttachOutcome, CancelOutcome, ClaimOutcome, DriverEffect, RunOutcome } from "./driver-step.ts";
import { TaskDriver } from "./task-driver.ts";

/** A mistake between the driver and the network, put in by hand: what it does to effects, and to events on their way in. */
export interface Mistake {
  effects?: (effects: readonly DriverEffect[]) => readonly DriverEffect[];
  events?: (events: readonly AttemptEvent[], driver: TaskDriver) => readonly AttemptEvent[];
}

/** An attempt as its node has it: the tokens from `from` on, in pieces. */
interface Work {
  nodeId: NodeId;
  pieces: AttemptEvent[];
  /** The piece that is told next to who reads; `readers` counts who came, and only the last is told. */
  cursor: number;
  readers: number;
  state: "running" | "stopped" | "ended" | "forgotten";
  /** How it ended where that was no commit. */
  failure: AttemptEvent | undefined;
}

const promptTokens = 7;
const nodes = Array.from({ length: 6 }, (_, index) => nodeIdSchema.parse(`node_toy${index}`));
const tokenOf = (position: number) => 1_000 + position;
const textOf = (position: number) => `<${position}>`;

/**
 * A task's driver among nodes, a pool and objects that lose, repeat, refuse, forget and break down as the seed has it,
 * in virtual time. The answer's token at each position is known, so that any gap or repeat shows.
 */
export class ToyNetwork {
  readonly faults: string[] = [];
  readonly kind: "chat" | "embedding";
  readonly answerTokens: number;
  steps = 0;
  nowMs = 0;
  /** What came to the caller: token positions or inputs in order, and how it ended. */
  delivered: number[] = [];
  text = "";
  readonly ends: string[] = [];
  records = 0;
  readonly counts = { runs: 0, attaches: 0, failovers: 0 };
  readonly driver: TaskDriver;
  readonly #random: () => number;
  readonly #trouble: number;
  readonly #mistake: Mistake;
  readonly #events: { atMs: number; order: number; act: () => void }[] = [];
  #order = 0;
  #attempts = 0;
  readonly #tickets = new Set<AttemptId>();
  readonly #leases = new Map<AttemptId, NodeId>();
  readonly #work = new Map<AttemptId, Work>();

  constructor(random: () => number, mistake: Mistake) {
    this.#random = random;
    this.#mistake = mistake;
    // From hardly any to more than anybody could bear.
    this.#trouble = random() ** 2 * 0.8;
    this.kind = random() < 0.75 ? "chat" : "embedding";
    this.answerTokens = Math.floor(random() * 60) + (this.kind === "chat" ? 0 : 1);
    this.driver = new TaskDriver({
      taskId: taskIdSchema.parse("task_toy0"),
      kind: this.kind,
      inputs: this.kind === "chat" ? 0 : this.answerTokens,
      mostContextTokens: 2_048,
      newAttemptId: () => {
        this.#attempts += 1;
        return attemptIdSchema.parse(`attempt_toy${this.#attempts}`);
      },
      nowMs: 0,
    });
    if (random() < 0.3) this.#later(() => this.#take(this.driver.cancel(this.nowMs)), random() * 1_500);
    this.#later(() => this.#take(this.driver.start(this.nowMs)), 0);
  }

  /** Runs until nothing is under way, or too long. */
  run(): void {
    for (; this.#events.length > 0; this.steps += 1) {
      if (this.steps > 5_000) {
        this.faults.push("it goes on without end");
        return;
      }
      const next = this.#events.reduce((first, other) =>
        other.atMs < first.atMs || (other.atMs === first.atMs && other.order < first.order) ? other : first,
      );
      this.#events.splice(this.#events.indexOf(next), 1);
      this.nowMs = next.atMs;
      next.act();
    }
    for (const attemptId of this.#tickets) this.faults.push(`the ticket ${attemptId} is left in the queue`);
    for (const attemptId of this.#leases.keys()) this.faults.push(`the lease ${attemptId} is left in the pool`);
    for (const [attemptId, { state }] of this.#work) {
      if (state === "running") this.faults.push(`${attemptId} runs on and nobody wants it`);
    }
  }

  #later(act: () => void, withinMs: number): void {
    this.#order += 1;
    this.#events.push({ atMs: this.nowMs + Math.floor(withinMs), order: this.#order, act });
  }

  #isTrouble(share = 1): boolean {
    return this.#random() < this.#trouble * share;
  }

  #take(given: readonly DriverEffect[]): void {
    const effects = this.#mistake.effects?.(given) ?? given;
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: DriverEffect): void {
    switch (effect.type) {
      case "claim":
        this.#claim(effect);
        break;
      case "run":
        this.#run(effect);
        break;
      case "attach":
        this.#attach(effect);
        break;
      case "wait":
        this.#later(() => this.#take(this.driver.waited(this.nowMs)), effect.ms);
        break;
      case "withdraw":
        this.#withdraw(effect.attemptId);
        break;
      case "cancelAttempt":
        this.#later(() => this.#cancel(effect.attemptId), effect.afterMs + this.#random() * 5);
        break;
      case "record":
        this.records += 1;
        break;
      case "deliver":
        for (const id of effect.tokenIds) this.delivered.push(id - tokenOf(0));
        this.text += effect.text;
        break;
      case "deliverVectors":
        for (const { index } of effect.vectors) this.delivered.push(index);
        break;
      case "restart":
        if (this.kind === "chat") this.faults.push("a chat was begun anew");
        this.delivered = [];
        break;
      case "end":
        this.ends.push("end");
        if (effect.promptTokens !== promptTokens) this.faults.push("the prompt is counted wrongly");
        if (this.kind === "chat" && effect.completionTokens !== this.answerTokens) {
          this.faults.push(`${effect.completionTokens} tokens are counted of ${this.answerTokens}`);
        }
        break;
      case "refuse":
        this.ends.push(effect.code);
    }
  }

  /** A claim on its way may be overtaken by its own withdrawal. */
  #claim({ attemptId, exclude }: Extract<DriverEffect, { type: "claim" }>): void {
    this.#later(() => {
      if (this.#isTrouble(0.3)) {
        // The pool was reset, before or after it queued the ticket.
        if (this.#random() < 0.5) this.#tickets.add(attemptId);
        this.#answerClaim(attemptId, { kind: "broken", reason: "reset" });
        return;
      }
      const fit = nodes.filter((nodeId) => !exclude.includes(nodeId));
      if (fit.length === 0 || this.#isTrouble(0.1)) {
        this.#answerClaim(attemptId, { kind: "refuse", code: fit.length === 0 ? "no_live_node" : "no_free_node" });
        return;
      }
      this.#tickets.add(attemptId);
      this.#later(() => {
        // Withdrawn while it waited, which was answered with a no.
        if (!this.#tickets.delete(attemptId)) return;
        const nodeId = pick(fit, this.#random);
        this.#leases.set(attemptId, nodeId);
        this.#answerClaim(attemptId, { kind: "lease", nodeId });
      }, this.#random() * 50);
    }, this.#random() * 10);
  }

  #answerClaim(attemptId: AttemptId, outcome: ClaimOutcome): void {
    this.#later(() => this.#take(this.driver.claimed(attemptId, outcome, this.nowMs)), this.#random() * 10);
  }

  #withdraw(attemptId: AttemptId): void {
    this.#later(() => {
      this.#leases.delete(attemptId);
      if (this.#tickets.delete(attemptId)) this.#answerClaim(attemptId, { kind: "refuse", code: "no_free_node" });
    }, this.#random() * 10);
  }

  #run({ attemptId, nodeId, continues }: Extract<DriverEffect, { type: "run" }>): void {
    this.counts.runs += 1;
    if (continues.length > 0) this.counts.failovers += 1;
    if (continues.some((id, position) => id !== tokenOf(position)) || continues.length > this.answerTokens) {
      this.faults.push("a node goes on after what is not the answer");
    }
    const answer = (outcome: RunOutcome) =>
      this.#later(() => {
        this.#take(this.driver.ran(attemptId, this.#seen(outcome), this.nowMs));
        this.#tellOn(attemptId, outcome);
      }, this.#random() * 20);
    this.#later(() => {
      if (this.#isTrouble(0.5)) {
        answer({ kind: this.#random() < 0.5 ? "full" : "offline" });
        return;
      }
      if (this.#isTrouble(0.3)) {
        answer({ kind: "broken", reason: "reset before it arrived" });
        this.#leases.delete(attemptId);
        return;
      }
      this.#leases.delete(attemptId);
      if (this.#isTrouble(0.4)) {
        answer({ kind: "failed", how: pick(["socketGone", "deadline", "refuse"], this.#random), reason: "so" });
        return;
      }
      const work: Work = {
        nodeId,
        pieces: this.#pieces(this.kind === "chat" ? continues.length : 0),
        cursor: 0,
        readers: 1,
        state: "running",
        failure: undefined,
      };
      this.#work.set(attemptId, work);
      if (this.#isTrouble(0.3)) answer({ kind: "broken", reason: "reset after it arrived" });
      else answer({ kind: "accepted", promptTokens, ...this.#early(work) });
    }, this.#random() * 20);
  }

  #attach({ attemptId, nextSeq }: Extract<DriverEffect, { type: "attach" }>): void {
    this.counts.attaches += 1;
    this.#later(() => {
      const work = this.#work.get(attemptId);
      if (work !== undefined && this.#isTrouble(0.3)) work.state = "forgotten";
      let outcome: AttachOutcome = { kind: "unknown" };
      if (work !== undefined && work.state !== "forgotten" && work.state !== "stopped") {
        work.readers += 1;
        work.cursor = Math.max(0, nextSeq - Math.floor(this.#random() * 2));
        outcome = { kind: "accepted", promptTokens, ...this.#early(work) };
      }
      if (this.#isTrouble()) outcome = { kind: "broken", reason: "reset" };
      this.#later(() => {
        this.#take(this.driver.attached(attemptId, this.#seen(outcome), this.nowMs));
        this.#tellOn(attemptId, outcome);
      }, this.#random() * 20);
    }, this.#random() * 20);
  }

  #cancel(attemptId: AttemptId): void {
    const work = this.#work.get(attemptId);
    const isLost = this.#isTrouble() && this.#random() < 0.5;
    let answer: CancelOutcome = { kind: "unknown" };
    if (work?.state === "running" && !isLost) {
      work.state = "stopped";
      answer = { kind: "known" };
    }
    if (isLost || this.#isTrouble()) answer = { kind: "broken", reason: "reset" };
    // An object that never answers forgets in the end: it gives up what nobody reads.
    if (isLost && work !== undefined) this.#later(() => this.#expire(work), 5_000);
    this.#later(() => this.#take(this.driver.cancelAnswered(attemptId, answer)), this.#random() * 10);
  }

  #expire(work: Work): void {
    if (work.state === "running") work.state = "stopped";
  }

  /** Some of what the node has, at once; `events` is null where that has the end. */
  #early(work: Work): { early: AttemptEvent[]; events: object | null } {
    if (work.failure !== undefined) return { early: [work.failure], events: null };
    if (this.#random() < 0.5) return { early: [], events: {} };
    const early = this.#next(work);
    return { early, events: isEnded(early) ? null : {} };
  }

  /** The telling goes on while it has a reader, and stops where it breaks. */
  #tellOn(attemptId: AttemptId, outcome: RunOutcome | AttachOutcome): void {
    const work = this.#work.get(attemptId);
    if (outcome.kind !== "accepted" || outcome.events === null || work === undefined) return;
    const reader = work.readers;
    const tell = () => {
      if (work.readers !== reader || !this.driver.isReading) return;
      if (this.#isTrouble(0.2)) {
        if (this.#random() < 0.3) work.state = "forgotten";
        this.#take(this.driver.broken(attemptId, this.nowMs));
        return;
      }
      if (work.state === "stopped" || work.state === "forgotten") return;
      const events = this.#next(work);
      this.#take(this.driver.told(attemptId, this.#mistake.events?.(events, this.driver) ?? events, this.nowMs));
      if (!isEnded(events)) this.#later(tell, this.#random() * 60);
    };
    this.#later(tell, this.#random() * 60);
  }

  /** The events that are told next: some pieces, one of them twice or left out where the seed has it so. */
  #next(work: Work): AttemptEvent[] {
    const events = work.pieces.slice(work.cursor, work.cursor + 1 + Math.floor(this.#random() * 4));
    work.cursor += events.length;
    if (this.#isTrouble(0.2) && events.length > 0) events.splice(Math.floor(this.#random() * events.length), 1);
    else if (this.#isTrouble(0.3)) events.push(...events.slice(-1));
    if (work.cursor < work.pieces.length) {
      if (!this.#isTrouble(0.2)) return events;
      work.state = "ended";
      work.failure = { type: "failed", how: pick(["socketGone", "deadline", "refuse"], this.#random), reason: "so" };
      return [...events, work.failure];
    }
    work.state = "ended";
    const completionTokens = work.pieces.reduce(
      (sum, piece) => sum + (piece.type === "delta" ? (piece.tokenIds?.length ?? 0) : 0),
      0,
    );
    return [...events, { type: "committed", finishReason: "stop", promptTokens, completionTokens }];
  }

  #pieces(from: number): AttemptEvent[] {
    const pieces: AttemptEvent[] = [];
    for (let position = from; position < this.answerTokens; ) {
      const seq = pieces.length;
      const size = Math.min(this.answerTokens - position, 1 + Math.floor(this.#random() * 3));
      const positions = Array.from({ length: size }, (_, index) => position + index);
      position += size;
      if (this.kind === "chat") {
        pieces.push({ type: "delta", seq, text: positions.map(textOf).join(""), tokenIds: positions.map(tokenOf) });
      } else {
        const vectors = positions.map((index) => ({ index, float32: "AACAPwAAAAA=" }));
        pieces.push({ type: "delta", seq, vectors });
      }
    }
    return pieces;
  }

  #seen<Outcome extends RunOutcome | AttachOutcome>(outcome: Outcome): Outcome {
    if (outcome.kind !== "accepted" || this.#mistake.events === undefined) return outcome;
    return { ...outcome, early: this.#mistake.events(outcome.early, this.driver) };
  }
}

function isEnded(events: readonly AttemptEvent[]): boolean {
  const last = events.at(-1);
  return last !== undefined && last.type !== "delta";
}

/** The text of an answer's first tokens. */
export function textUpTo(tokens: number): string {
  return Array.from({ length: tokens }, (_, position) => textOf(position)).join("");
}
