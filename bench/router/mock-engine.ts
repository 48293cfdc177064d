import { setImmediate, setTimeout } from "node:timers/promises";
import type { ChatInput } from "../../core/wire/task-input.ts";
import type { ChatOutcome, Engine, PreparedChat, PreparedEmbedding } from "../../worker-node/engine/engine.ts";
import { defaultPieces, pieceText } from "./mock-answer.ts";

/**
 * An engine that computes nothing: `max_tokens` pieces, one every `paceMs` (0: one a turn of the event loop), each of
 * one token. The first comes at once. What a bench measures with it is the way, not the model.
 */
export class MockEngine implements Engine {
  readonly kind = "chat";
  readonly contextTokens = 131_072;
  readonly dimensions = undefined;
  readonly #paceMs: number;
  readonly #onStopped: (input: ChatInput) => void;

  /** `onStopped` is told, in the same turn, of each run that the router stops before its end. */
  constructor({ paceMs, onStopped }: { paceMs: number; onStopped: (input: ChatInput) => void }) {
    this.#paceMs = paceMs;
    this.#onStopped = onStopped;
  }

  async prepareChat(input: ChatInput, { continues = [] }: { continues?: readonly number[] } = {}) {
    const promptTokens = input.messages.reduce((sum, { content }) => sum + content.split(" ").length, 0);
    const pieces = input.sampling.maxTokens ?? defaultPieces;
    const prepared: PreparedChat = {
      kind: "prepared",
      promptTokens,
      run: async ({ onPiece, signal }): Promise<ChatOutcome> => {
        const stopped = () => this.#onStopped(input);
        signal.addEventListener("abort", stopped);
        let made = 0;
        for (let token = continues.length; token < pieces && !signal.aborted; token += 1) {
          if (made > 0) await this.#pause(signal);
          if (signal.aborted) break;
          onPiece({ tokenIds: [token], text: pieceText(token) });
          made += 1;
        }
        signal.removeEventListener("abort", stopped);
        return { finishReason: signal.aborted ? "cancelled" : "length", promptTokens, completionTokens: made };
      },
    };
    return prepared;
  }

  async prepareEmbedding(): Promise<PreparedEmbedding> {
    throw new Error("the mock engine chats");
  }

  async prepareCheck(): Promise<never> {
    throw new Error("this engine was asked for a check");
  }

  async measureTokensPerSecond(): Promise<number> {
    return this.#paceMs === 0 ? 10_000 : 1_000 / this.#paceMs;
  }

  async dispose(): Promise<void> {}

  async #pause(signal: AbortSignal): Promise<void> {
    if (this.#paceMs === 0) await setImmediate();
    // A pause that ends early rejects, and the loop looks at the signal itself.
    else await setTimeout(this.#paceMs, undefined, { signal }).catch(() => undefined);
  }
}
