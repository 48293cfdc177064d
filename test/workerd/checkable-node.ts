import { answerHead } from "../../core/commitment/answer-chain.ts";
import { signCommitment } from "../../core/commitment/sign-commitment.ts";
import type { TaskFrame } from "../../core/wire/router-frame.ts";
import type { CheckInput, Sampling } from "../../core/wire/task-input.ts";
import type { FakeNode } from "./fake-node.ts";

const tokens = 20;
const promptTokens = 3;

/** What the toy model of these tests answers: its tokens are a function of the seed, as a real answer's are. */
export function honestIds({ seed }: Pick<Sampling, "seed">): number[] {
  return Array.from({ length: tokens }, (_, position) => (Math.imul(seed ^ position, 0x9e3779b1) >>> 0) % 50_000);
}

/** How a node does its work; what is left out is done honestly. */
export interface Conduct {
  /** What it says instead. */
  ids?: (task: TaskFrame) => number[];
  /** Its commitment is to another answer, or is none. */
  commitment?: "other" | "none";
  /** The margin that it reports of every position. */
  margin?: (check: CheckInput) => number;
  /** Its report looks at fewer positions than it was asked to. */
  isLazy?: boolean;
  finishReason?: "stop" | "length";
  /** Its socket breaks once it has said so many tokens of an answer. */
  breaksAfter?: number;
  /** The vector of every text. */
  vector?: [number, number];
}

/** A node of the toy model that works by itself, on the real wire. */
export class CheckableNode {
  readonly node: FakeNode;
  readonly conduct: Conduct;
  /** Tasks that it did, by kind. */
  readonly done: TaskFrame[] = [];

  constructor(node: FakeNode, conduct: Conduct = {}) {
    this.node = node;
    this.conduct = conduct;
    this.#work().catch((error: unknown) => console.error("a toy node failed", error));
  }

  get checks(): CheckInput[] {
    return this.done.flatMap(({ input }) => (input.kind === "check" ? [input] : []));
  }

  async #work(): Promise<void> {
    let credits = 64;
    while (this.node.isOpen) {
      if (this.node.waiting("task") === 0) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        continue;
      }
      const task = await this.node.next("task");
      this.done.push(task);
      if (task.input.kind === "check") this.#check(task, task.input);
      else if (task.input.kind === "embedding") this.#embed(task, task.input.texts.length);
      else await this.#answer(task, task.input.sampling);
      if (this.conduct.breaksAfter !== undefined) return;
      credits += 1;
      if (this.node.isOpen) this.node.pull(task.model, credits);
    }
  }

  async #answer(task: TaskFrame, sampling: Sampling): Promise<void> {
    const { node, conduct } = this;
    const continued = task.continues ?? [];
    const own = (conduct.ids?.(task) ?? honestIds(sampling)).slice(continued.length, conduct.breaksAfter);
    node.ack(task, promptTokens);
    node.delta(task, 0, { text: textOf(own), tokenIds: own });
    if (conduct.breaksAfter !== undefined) return node.drop();
    const ids = [...continued, ...own];
    const committed = conduct.commitment === "other" ? [...ids, 1] : ids;
    const head = await answerHead({ taskId: task.taskId, model: task.model }, committed);
    const finishReason = conduct.finishReason ?? "stop";
    const claim = { ...task, promptTokens, answerTokens: ids.length, finishReason, head };
    const signature = await signCommitment(claim, node.identity.key.privateKey);
    if (!node.isOpen) return;
    node.commit(task, {
      ...{ finishReason, completionTokens: own.length, promptTokens },
      ...(conduct.commitment === "none" ? {} : { commitment: { head, signature } }),
      ...(task.wantsPromptIds === true ? { promptIds: [7, 8, 9] } : {}),
    });
  }

  #check(task: TaskFrame, check: CheckInput): void {
    const { node, conduct } = this;
    const honest = honestIds(check.of.sampling);
    const marginOf = (position: number) => {
      if (conduct.margin !== undefined) return conduct.margin(check);
      return position === check.tokenIds.length || check.tokenIds[position] === honest[position] ? 0 : 5;
    };
    const positions = conduct.isLazy === true ? check.positions.slice(1) : check.positions;
    const findings = positions.map((position) => {
      const margin = marginOf(position);
      return { position, margin, rank: margin === 0 ? 0 : 9 };
    });
    node.ack(task, promptTokens);
    node.delta(task, 0, {
      report: { findings, isTextOfTokens: check.text === textOf(check.tokenIds), isEndRight: true },
    });
    node.commit(task, { completionTokens: 0, promptTokens });
  }

  #embed(task: TaskFrame, count: number): void {
    const vector = new Float32Array(this.conduct.vector ?? [1, 0]);
    const float32 = btoa(String.fromCharCode(...new Uint8Array(vector.buffer)));
    const vectors = Array.from({ length: count }, (_, index) => ({ index, float32 }));
    this.node.ack(task, promptTokens);
    this.node.delta(task, 0, { vectors });
    this.node.commit(task, { completionTokens: 0, promptTokens });
  }
}

export function textOf(ids: readonly number[]): string {
  return ids.map((id) => `<${id}>`).join("");
}
