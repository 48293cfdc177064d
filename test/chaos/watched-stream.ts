import { expect } from "vitest";
import type { TaskId } from "../../core/ids.ts";
import { until } from "../e2e/wait.ts";
import { answerProblems, type Evidence, recordProblems } from "./answer-problems.ts";
import type { ChaosNode } from "./chaos-node.ts";
import type { ChaosNetwork, Consumer } from "./network.ts";
import { idsOf } from "./node-wire.ts";
import type { Received, StreamReader } from "./stream-reader.ts";

/** Length of the streams that faults are tried on, and of which the whole must come. */
export const maxTokens = 300;

/** A stream of {@link maxTokens} tokens, with what all sides know of it. */
export class WatchedStream {
  readonly consumer: Consumer;
  readonly #network: ChaosNetwork;
  readonly #reader: StreamReader;
  #isOver = false;

  private constructor(network: ChaosNetwork, consumer: Consumer, prompt: string) {
    this.#network = network;
    this.consumer = consumer;
    this.#reader = consumer.stream({ prompt, maxTokens });
    this.#reader.done.then(() => {
      this.#isOver = true;
    });
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Asks, for an account of its own unless one is given, and returns at once. */
  static async ask(network: ChaosNetwork, prompt: string, consumer?: Consumer): Promise<WatchedStream> {
    return new WatchedStream(network, consumer ?? (await network.newConsumer("watched")), prompt);
  }

  /** The node that was handed it last. */
  async node(): Promise<ChaosNode> {
    return this.#network.nodeOf(await this.begun());
  }

  /** Resolves once a node has acked the task. */
  begun(): Promise<TaskId> {
    return this.#reader.begun();
  }

  /** Resolves once nodes have sent so many tokens of it, or it is over; with the node that was handed it last. */
  async sent(tokens: number): Promise<ChaosNode> {
    const taskId = await this.begun();
    await until(`${tokens} tokens are sent`, () => this.isOver || this.#sentTokens(taskId) >= tokens, {
      withinMs: 120_000,
      since: () => this.#network.lastWords(),
    });
    return this.#network.nodeOf(taskId);
  }

  /** The stream when it is over, whole or not. */
  done(): Promise<Received> {
    return this.#reader.done;
  }

  /** What all sides know of it, once it is over and the node that ended it has logged it. */
  async evidence(): Promise<Evidence> {
    const received = await this.#reader.done;
    const { taskId } = received;
    if (taskId !== undefined && received.error === undefined) {
      // The log is written a moment later; a line that does not come is missed by whoever checks the evidence.
      await this.#network
        .nodeOf(taskId)
        .loggedEnd(taskId, 10_000)
        .catch(() => undefined);
    }
    return {
      received,
      attempts: taskId === undefined ? [] : this.#network.attemptsOf(taskId),
      outputs: this.#network.nodes.flatMap((node) => node.outputs()),
      textOf: this.#network.textOf,
      maxTokens,
    };
  }

  /** Expects it whole, in order, unaltered, and once in the record; from all sides. */
  async expectIntact() {
    const evidence = await this.evidence();
    expect(answerProblems(evidence)).toEqual([]);
    const record = await this.#network.recordOf(this.consumer, 1);
    expect(record.tasks).toHaveLength(1);
    expect(recordProblems(record, evidence)).toEqual([]);
    return { ...evidence, record };
  }

  #sentTokens(taskId: TaskId): number {
    return this.#network.attemptsOf(taskId).reduce((sum, attempt) => sum + idsOf(attempt).length, 0);
  }
}
