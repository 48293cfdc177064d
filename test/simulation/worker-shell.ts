import type { AttemptId, ModelHash, NodeId } from "../../core/ids.ts";
import type { AttemptEvent } from "../../core/lease/attempt-event.ts";
import type { ModelName } from "../../core/model/model-card.ts";
import type { TaskRecord } from "../../core/record/entry.ts";
import { attemptRecord } from "../../core/task/attempt.ts";
import type { Broken, CancelOutcome, ClaimOutcome, DriverEffect, TaskEnding } from "../../core/task/driver-step.ts";
import { TaskDriver } from "../../core/task/task-driver.ts";
import type { TaskFrame } from "../../core/wire/router-frame.ts";
import type { Client, Order } from "./client.ts";
import type { Ground } from "./ground.ts";
import type { AttachReply, RunReply } from "./leases-shell.ts";
import type { NodeShell } from "./node-shell.ts";
import type { Lane, ObjectHost } from "./object-host.ts";
import type { TellingStream } from "./telling.ts";
import { toyContextTokens } from "./toy-answer.ts";

type Claim = Extract<DriverEffect, { type: "claim" }>;
type Awaited = Extract<DriverEffect, { type: "claim" | "run" | "attach" | "wait" }>;

/** The network as one request sees it. */
export interface WorkerWays {
  /** The shard of the pool that a request asks. */
  shardFor(order: Order): number;
  /** Asks it; `done` and `failed` as in {@link ObjectHost.call}. */
  claim(
    asked: { client: Client; shard: number; claim: Claim; lane: Lane },
    done: (outcome: ClaimOutcome) => void,
    failed: (reason: string) => void,
  ): void;
  withdraw(asked: { shard: number; attemptId: AttemptId; lane: Lane }): void;
  node(nodeId: NodeId): ObjectHost<NodeShell> | undefined;
  record(record: TaskRecord): void;
  newAttemptId(): AttemptId;
  readonly model: ModelHash;
  readonly modelName: ModelName;
}

/** One request in its Worker: the real {@link TaskDriver}, and the calls it asks for, as `edge/task-run.ts` makes them. */
export class WorkerShell {
  readonly client: Client;
  readonly #ground: Ground;
  readonly #ways: WorkerWays;
  readonly #driver: TaskDriver;
  readonly #shard: number;
  /** All that is said to the pool goes over one stub, so that a withdrawal does not come before its claim. */
  readonly #lane: Lane = { lastAtMs: 0 };
  readonly #createdAtMs: number;
  readonly #onOver: () => void;
  #telling: TellingStream | undefined;
  #isDead = false;
  /** Milliseconds that this Worker's clock is ahead. */
  readonly #skewMs: number;

  constructor(
    ground: Ground,
    { client, ways, skewMs, onOver }: { client: Client; ways: WorkerWays; skewMs: number; onOver: () => void },
  ) {
    this.#ground = ground;
    this.client = client;
    this.#ways = ways;
    this.#skewMs = skewMs;
    this.#onOver = onOver;
    this.#shard = ways.shardFor(client.order);
    this.#createdAtMs = this.#nowMs;
    const { taskId, input } = client.order;
    this.#driver = new TaskDriver({
      taskId,
      kind: input.kind,
      inputs: input.kind === "embedding" ? input.texts.length : 0,
      mostContextTokens: toyContextTokens,
      newAttemptId: () => ways.newAttemptId(),
      nowMs: this.#nowMs,
    });
  }

  begin(): void {
    this.#take(this.#driver.start(this.#nowMs));
  }

  /** The caller is gone. */
  leave(): void {
    if (this.#isDead) return;
    this.client.leave(this.#ground.loop.nowMs);
    this.#take(this.#driver.cancel(this.#nowMs));
  }

  /** The Worker's process is gone, and the caller's connection with it. What it has asked of others goes on. */
  die(): void {
    this.#isDead = true;
    this.client.cutOff(this.#ground.loop.nowMs);
    this.#hangUp();
    this.#onOver();
  }

  get #nowMs(): number {
    return this.#ground.loop.nowMs + this.#skewMs;
  }

  #take(effects: readonly DriverEffect[]): void {
    for (const effect of effects) this.#perform(effect);
    if (!this.#driver.isOver) return;
    this.#hangUp();
    if (this.client.ending !== undefined) this.#onOver();
  }

  #perform(effect: DriverEffect): void {
    switch (effect.type) {
      case "deliver":
      case "deliverVectors":
      case "restart":
      case "end":
        this.client.hear(effect, this.#ground.loop.nowMs);
        break;
      case "claim":
      case "run":
      case "attach":
      case "wait":
        this.#await(effect);
        break;
      case "withdraw":
        if (this.#ground.bugs.has("withdrawForgotten")) break;
        this.#ways.withdraw({ shard: this.#shard, attemptId: effect.attemptId, lane: this.#lane });
        break;
      case "cancelAttempt":
        this.#ground.loop.after(effect.afterMs, () => this.#cancelAttempt(effect.attemptId, effect.nodeId));
        break;
      case "record":
        this.#record(effect.ending);
        break;
      case "refuse":
        this.client.refused(effect.code, this.#ground.loop.nowMs);
    }
  }

  #await(todo: Awaited): void {
    this.#ground.note(() => `${this.client.order.taskId} ${JSON.stringify({ ...todo, continues: undefined })}`);
    switch (todo.type) {
      case "claim":
        this.#ways.claim(
          { client: this.client, shard: this.#shard, claim: todo, lane: this.#lane },
          (outcome) => this.#claimed(todo.attemptId, outcome),
          (reason) => this.#claimed(todo.attemptId, { kind: "broken", reason }),
        );
        break;
      case "run":
        this.#run(todo);
        break;
      case "attach":
        this.#hangUp();
        this.#attach(todo);
        break;
      case "wait":
        this.#ground.loop.after(todo.ms, () => {
          if (!this.#isDead) this.#take(this.#driver.waited(this.#nowMs));
        });
    }
  }

  #claimed(attemptId: AttemptId, outcome: ClaimOutcome): void {
    if (!this.#isDead) this.#take(this.#driver.claimed(attemptId, outcome, this.#nowMs));
  }

  #run({ attemptId, nodeId, continues }: Extract<Awaited, { type: "run" }>): void {
    const { order } = this.client;
    const { taskId, input, isWhole } = order;
    const handedOn = this.#ground.bugs.has("continuationShort") ? continues.slice(0, -1) : [...continues];
    const { model, modelName } = this.#ways;
    const task: TaskFrame = { type: "task", taskId, attemptId, model, input };
    const priorAttempts = this.#driver.task.attempts.map((attempt) => attemptRecord(attempt, this.#nowMs));
    const terms = {
      taskId,
      attemptId,
      accountId: order.accountId,
      keyId: order.keyId,
      modelName,
      model,
      kind: input.kind,
      inputs: input.kind === "embedding" ? input.texts.length : 0,
      dimensions: input.kind === "embedding" ? 1 : null,
      createdAtMs: this.#createdAtMs,
      priorAttempts,
      continuedTokens: handedOn.length,
    };
    const then = (outcome: RunReply | Broken) => {
      if (this.#isDead) leave(outcome);
      else {
        this.#take(this.#driver.ran(attemptId, outcome, this.#nowMs));
        this.#readOn(attemptId, outcome);
      }
    };
    const frame = handedOn.length === 0 ? task : { ...task, continues: handedOn };
    this.#node(nodeId).call<RunReply>({
      perform: (node, reply) => node.run({ terms, task: frame, isWhole }, reply),
      done: then,
      failed: (reason) => then({ kind: "broken", reason }),
    });
  }

  #attach({ nodeId, attemptId, ...wish }: Extract<Awaited, { type: "attach" }>): void {
    const then = (outcome: AttachReply | Broken) => {
      if (this.#isDead) leave(outcome);
      else {
        this.#take(this.#driver.attached(attemptId, outcome, this.#nowMs));
        this.#readOn(attemptId, outcome);
      }
    };
    const { isWhole } = this.client.order;
    this.#node(nodeId).call<AttachReply>({
      perform: (node, reply) => node.attach({ attemptId, ...wish, isWhole }, reply),
      done: then,
      failed: (reason) => then({ kind: "broken", reason }),
    });
  }

  /** Reads the rest of an accepted attempt, unless it is of no use any more. */
  #readOn(attemptId: AttemptId, outcome: RunReply | AttachReply | Broken): void {
    if (outcome.kind !== "accepted" || outcome.events === null) return;
    if (!this.#driver.isReading || this.#telling !== undefined) {
      outcome.events.leave();
      return;
    }
    const telling = outcome.events;
    this.#telling = telling;
    telling.listen({
      told: (events) => {
        if (this.#isDead || this.#telling !== telling) return;
        const again = this.#ground.bugs.has("pieceDelivered") ? twice(events) : events;
        this.#take(this.#driver.told(attemptId, again, this.#nowMs));
        if (!this.#driver.isReading) this.#hangUp();
      },
      broken: () => {
        if (this.#isDead || this.#telling !== telling) return;
        this.#take(this.#driver.broken(attemptId, this.#nowMs));
        if (!this.#driver.isReading) this.#hangUp();
      },
    });
  }

  #hangUp(): void {
    this.#telling?.leave();
    this.#telling = undefined;
  }

  #cancelAttempt(attemptId: AttemptId, nodeId: NodeId): void {
    if (this.#isDead) return;
    const then = (answer: CancelOutcome) => {
      if (!this.#isDead) this.#take(this.#driver.cancelAnswered(attemptId, answer));
    };
    this.#node(nodeId).call<boolean>({
      perform: (node, reply) => reply(node.cancel(attemptId)),
      done: (isKnown) => then({ kind: isKnown ? "known" : "unknown" }),
      failed: (reason) => then({ kind: "broken", reason }),
    });
  }

  /** Keeps an end that no node's object can tell of. */
  #record(ending: TaskEnding): void {
    const { order } = this.client;
    this.#ways.record({
      kind: "task",
      taskId: order.taskId,
      accountId: order.accountId,
      keyId: order.keyId,
      modelName: this.#ways.modelName,
      modelSha256: this.#ways.model,
      task: order.input.kind,
      createdAtMs: this.#createdAtMs,
      ...ending,
    });
  }

  #node(nodeId: NodeId): ObjectHost<NodeShell> {
    const node = this.#ways.node(nodeId);
    if (node === undefined) throw new Error(`${nodeId} is not of this network`);
    return node;
  }
}

/** What came for a Worker that is dead: a stream finds out by its next write. */
function leave(outcome: RunReply | AttachReply | Broken): void {
  if (outcome.kind === "accepted") outcome.events?.leave();
}

function twice(events: readonly AttemptEvent[]): readonly AttemptEvent[] {
  return events.flatMap((event): AttemptEvent[] =>
    event.type === "delta" ? [event, { ...event, seq: event.seq + 1 }] : [event],
  );
}
