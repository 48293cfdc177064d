import { Worker } from "node:worker_threads";
import { UnsupportedTaskError } from "../unsupported-task-error.ts";
import type { GrammarSource, GrammarThreadData, Question, Reply } from "./grammar-source.ts";
import { TokenMask } from "./token-mask.ts";

/** A grammar that takes longer to compile is refused, and the thread that works on it ended. */
const compileMs = 10_000;

/** Where one answer stands in its grammar. */
export interface Matcher {
  /** What may come first. */
  readonly first: TokenMask;
  /** Takes the token that came; returns what may come next, or `undefined` where nothing may. */
  accept(tokenId: number): Promise<TokenMask | undefined>;
  close(): void;
}

type Ask<Kind extends "open" | "accept"> = Omit<Extract<Question, { type: Kind }>, "number">;
interface Waiting {
  resolve: (bits: Int32Array | null) => void;
  reject: (error: Error) => void;
}

/** The grammars of one vocabulary, in a thread that begins with the first of them. */
export class GrammarHost {
  readonly #data: GrammarThreadData;
  #thread: Worker | undefined;
  #numbers = 0;
  readonly #waiting = new Map<number, Waiting>();

  constructor(data: GrammarThreadData) {
    this.#data = data;
  }

  /**
   * A matcher that has taken `tokenIds` already. Rejects with {@link UnsupportedTaskError} naming `param` where the
   * grammar cannot be compiled in time.
   */
  async open(
    source: GrammarSource,
    { tokenIds, param }: { tokenIds: readonly number[]; param: string },
  ): Promise<Matcher> {
    this.#numbers += 1;
    const matcher = this.#numbers;
    let isOverdue = false;
    const overdue = setTimeout(() => {
      isOverdue = true;
      // What others asked of the thread is done again elsewhere.
      void this.#end(new Error("the thread of grammars was ended"));
    }, compileMs);
    let bits: Int32Array | null;
    try {
      bits = await this.#ask({ type: "open", matcher, source, tokenIds });
    } catch (error) {
      if (isOverdue) {
        const message = `what it asks for takes more than ${compileMs / 1_000} s to prepare`;
        throw new UnsupportedTaskError(message, { param, cause: error });
      }
      if (!(error instanceof GrammarProblem)) throw error;
      throw new UnsupportedTaskError(error.message, { param, cause: error });
    } finally {
      clearTimeout(overdue);
    }
    if (bits === null) throw new Error("a grammar that is open has no mask");
    const thread = this.#thread;
    const maskOf = (mask: Int32Array) => new TokenMask(mask, { tokens: this.#data.texts.length });
    return {
      first: maskOf(bits),
      accept: async (tokenId) => {
        const next = await this.#ask({ type: "accept", matcher, tokenId });
        return next === null ? undefined : maskOf(next);
      },
      close: () => {
        // With the thread its matchers have gone. Nobody waits for the answer.
        if (this.#thread === thread) thread?.postMessage({ number: 0, type: "close", matcher } satisfies Question);
      },
    };
  }

  /** Ends the thread; what waits for it is rejected. */
  async dispose(): Promise<void> {
    await this.#end(new Error("the engine is closed"));
  }

  #ask(question: Ask<"open"> | Ask<"accept">): Promise<Int32Array | null> {
    this.#numbers += 1;
    const number = this.#numbers;
    const thread = this.#started();
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      thread.postMessage({ number, ...question });
    });
  }

  #started(): Worker {
    if (this.#thread !== undefined) return this.#thread;
    // Beside this file; the package has both as JavaScript.
    const file = import.meta.url.endsWith(".ts") ? "./grammar-thread.ts" : "./grammar-thread.js";
    const thread = new Worker(new URL(file, import.meta.url), { workerData: this.#data });
    thread.unref();
    thread.on("message", (reply: Reply) => {
      const waiting = this.#waiting.get(reply.number);
      this.#waiting.delete(reply.number);
      if (reply.type === "mask") waiting?.resolve(reply.bits);
      else waiting?.reject(reply.isOfGrammar ? new GrammarProblem(reply.message) : new Error(reply.message));
    });
    thread.on("error", (error) => void this.#end(error instanceof Error ? error : new Error(String(error))));
    this.#thread = thread;
    return thread;
  }

  async #end(error: Error): Promise<void> {
    const thread = this.#thread;
    this.#thread = undefined;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    await thread?.terminate();
  }
}

/** The thread could not make a matcher of this grammar. */
class GrammarProblem extends Error {
  override readonly name = "GrammarProblem";
}
