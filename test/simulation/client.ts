import type { AccountId, KeyId, TaskId } from "../../core/ids.ts";
import type { RefusalCode } from "../../core/refusal.ts";
import type { Delivery } from "../../core/task/driver-step.ts";
import type { TaskInput } from "../../core/wire/task-input.ts";
import { holds } from "./ground.ts";
import { answerEnd, promptTokensOf, taskNumber, textOf, tokenAt, toyContextTokens, vectorAt } from "./toy-answer.ts";

/** One request as its sender means it. */
export interface Order {
  readonly taskId: TaskId;
  readonly accountId: AccountId;
  readonly keyId: KeyId;
  readonly weight: number;
  readonly input: TaskInput;
  /** Names the conversation that it belongs to; null for one of its own. */
  readonly conversation: string | null;
  /** True where nobody reads before the end. */
  readonly isWhole: boolean;
  /** When the sender goes away, after the request; null for one who stays. */
  readonly leavesAfterMs: number | null;
}

/** What became of a request, as its sender saw it. */
export type Ending =
  | { kind: "answered"; promptTokens: number; completionTokens: number }
  | { kind: "refused"; code: RefusalCode }
  /** It went away by itself. */
  | { kind: "left" }
  /** Its Worker died, and its connection with it. */
  | { kind: "cutOff" };

/**
 * Who sent a request and knows its answer beforehand: every piece is compared as it comes, so that a gap, a repeat or
 * a wrong continuation shows at once.
 */
export class Client {
  readonly order: Order;
  readonly sentAtMs: number;
  readonly #number: number;
  #ending: Ending | undefined;
  #endedAtMs = 0;
  #firstTokenAtMs: number | undefined;
  #heardAtMs: number;
  #longestSilenceMs = 0;
  #tokens = 0;
  readonly #vectors = new Set<number>();

  constructor(order: Order, nowMs: number) {
    this.order = order;
    this.sentAtMs = nowMs;
    this.#heardAtMs = nowMs;
    this.#number = taskNumber(order.taskId);
  }

  get ending(): Ending | undefined {
    return this.#ending;
  }

  get endedAtMs(): number {
    return this.#endedAtMs;
  }

  /** Tokens of the answer that it has. */
  get tokens(): number {
    return this.#tokens;
  }

  /** When something last came, or the request went out. */
  get heardAtMs(): number {
    return this.#heardAtMs;
  }

  get firstTokenAtMs(): number | undefined {
    return this.#firstTokenAtMs;
  }

  /** Longest time between two pieces of the answer. */
  get longestSilenceMs(): number {
    return this.#longestSilenceMs;
  }

  hear(delivery: Delivery, nowMs: number): void {
    const { taskId } = this.order;
    if (this.#ending?.kind === "left" || this.#ending?.kind === "cutOff") return;
    holds(this.#ending === undefined, "nothing follows an end", () => `${taskId} got ${delivery.type}`);
    if (this.#firstTokenAtMs === undefined) this.#firstTokenAtMs = nowMs;
    else this.#longestSilenceMs = Math.max(this.#longestSilenceMs, nowMs - this.#heardAtMs);
    this.#heardAtMs = nowMs;
    switch (delivery.type) {
      case "deliver":
        this.#read(delivery.text, delivery.tokenIds);
        break;
      case "deliverVectors":
        for (const { index, float32 } of delivery.vectors) {
          const isDue = !this.#vectors.has(index) && float32 === vectorAt(this.#number, index);
          holds(isDue, "no stream has a gap or a repeat", () => `${taskId} got a wrong vector ${index}`);
          this.#vectors.add(index);
        }
        break;
      case "restart":
        holds(this.order.input.kind === "embedding", "a chat is never begun anew", () => taskId);
        this.#vectors.clear();
        break;
      case "end":
        this.#checkEnd(delivery);
        this.#end({ kind: "answered", ...delivery }, nowMs);
    }
  }

  refused(code: RefusalCode, nowMs: number): void {
    if (this.#ending?.kind === "left" || this.#ending?.kind === "cutOff") return;
    const { taskId } = this.order;
    holds(this.#ending === undefined, "nothing follows an end", () => `${taskId} was refused with ${code}`);
    const isTooLong = promptTokensOf(this.#number) > toyContextTokens;
    holds(isTooLong || code !== "context_length_exceeded", "no task is refused for another's fault", () => taskId);
    this.#end({ kind: "refused", code }, nowMs);
  }

  /** It goes away. */
  leave(nowMs: number): void {
    if (this.#ending === undefined) this.#end({ kind: "left" }, nowMs);
  }

  /** Its Worker died. */
  cutOff(nowMs: number): void {
    if (this.#ending === undefined) this.#end({ kind: "cutOff" }, nowMs);
  }

  #read(text: string, tokenIds: readonly number[]): void {
    const { taskId } = this.order;
    for (const [offset, id] of tokenIds.entries()) {
      holds(id === tokenAt(this.#number, this.#tokens + offset), "no stream has a gap or a repeat", () => {
        return `${taskId} got a wrong token at ${this.#tokens + offset}`;
      });
    }
    holds(text === tokenIds.map(textOf).join(""), "text is that of its tokens", () => taskId);
    this.#tokens += tokenIds.length;
  }

  #checkEnd(end: Extract<Delivery, { type: "end" }>): void {
    const { taskId, input } = this.order;
    holds(end.promptTokens === promptTokensOf(this.#number), "counts are those of the task", () => taskId);
    holds(end.completionTokens === this.#tokens, "counts are those of the task", () => taskId);
    if (input.kind === "embedding") {
      holds(
        this.#vectors.size === input.texts.length,
        "no stream has a gap or a repeat",
        () => `${taskId} is not whole`,
      );
      return;
    }
    if (input.kind === "check") throw new Error("no client asks for a check");
    const due = answerEnd(this.#number, input.sampling.maxTokens ?? toyContextTokens);
    holds(
      this.#tokens === due.tokens && end.finishReason === due.finishReason,
      "no stream has a gap or a repeat",
      () => {
        return `${taskId} ended after ${this.#tokens} of ${due.tokens} tokens with ${end.finishReason}`;
      },
    );
  }

  #end(ending: Ending, nowMs: number): void {
    this.#ending = ending;
    this.#endedAtMs = nowMs;
  }
}
