import type { LlamaEmbeddingContext, LlamaModel, Token } from "node-llama-cpp";
import type { EmbedInput } from "../../core/wire/task-input.ts";
import type { ContextOverflow, Engine, PreparedEmbedding } from "./engine.ts";
import { RunningWork } from "./running-work.ts";
import { UnsupportedTaskError } from "./unsupported-task-error.ts";

/** Length and time of the run that measures speed: as many texts of 64 tokens as fit into half a second. */
const speedRun = { textTokens: 64, ms: 500 } as const;

/**
 * An embedding model. Texts are read one at a time, whoever asks: the library's embedding context has one sequence
 * and a lock around it, so tasks that run at once take turns text by text.
 */
export class LlamaEmbeddingEngine implements Engine {
  readonly kind = "embedding";
  readonly contextTokens: number;
  readonly #tokens: readonly Token[];
  readonly dimensions: number;
  readonly #context: LlamaEmbeddingContext;
  readonly #model: LlamaModel;
  readonly #work = new RunningWork();

  /** `context` must hold one token more than `contextTokens`, in one batch: these models read a text at once. */
  constructor({ context, contextTokens }: { context: LlamaEmbeddingContext; contextTokens: number }) {
    this.#context = context;
    this.#model = context.model;
    this.contextTokens = contextTokens;
    this.dimensions = context.model.embeddingVectorSize;
    this.#tokens = [...context.model.iterateAllTokens()];
  }

  async prepareChat(): Promise<never> {
    throw new Error("an embedding engine was asked for a chat answer");
  }

  async prepareEmbedding(input: EmbedInput): Promise<PreparedEmbedding | ContextOverflow> {
    this.#work.ensureOpen();
    const { contextTokens } = this;
    const texts = input.texts.map((text) => (typeof text === "string" ? this.#tokenize(text) : this.#ownTokens(text)));
    const lengths = texts.map((tokens) => this.#context.calculateInputLength(tokens));
    for (const [inputIndex, promptTokens] of lengths.entries()) {
      if (promptTokens > contextTokens) return { kind: "context_overflow", promptTokens, contextTokens, inputIndex };
    }
    return {
      kind: "prepared",
      promptTokens: lengths.reduce((sum, length) => sum + length, 0),
      run: ({ onVector, signal }) =>
        this.#work.track(async () => {
          for (const [index, tokens] of texts.entries()) {
            signal.throwIfAborted();
            onVector(index, await this.#embed(tokens));
          }
        }),
    };
  }

  async prepareCheck(): Promise<never> {
    throw new Error("this engine was asked for a check");
  }

  measureTokensPerSecond(): Promise<number> {
    return this.#work.track(async () => {
      const words = this.#tokenize("the quick brown fox jumps over the lazy dog ".repeat(speedRun.textTokens));
      const text = words.slice(0, Math.min(speedRun.textTokens, this.contextTokens - 2));
      // The first text pays for reading the weights from disk.
      await this.#embed(text);
      const startedMs = performance.now();
      let tokens = 0;
      do {
        await this.#embed(text);
        tokens += text.length;
      } while (performance.now() - startedMs < speedRun.ms);
      return (tokens * 1_000) / (performance.now() - startedMs);
    });
  }

  async dispose(): Promise<void> {
    await this.#work.close();
    await this.#context.dispose();
    await this.#model.dispose();
  }

  /** Ids that the caller made are taken as they are, where the model has them. */
  #ownTokens(ids: readonly number[]): Token[] {
    return ids.map((id) => {
      const token = this.#tokens[id];
      if (token !== undefined) return token;
      const message = `the model has ${this.#tokens.length} tokens and none has the id ${id}`;
      throw new UnsupportedTaskError(message, { param: "input" });
    });
  }

  /** The text's tokens; text that has none (only spaces) becomes the empty text's frame, as BERT reads it. */
  #tokenize(text: string): Token[] {
    const tokens = this.#model.tokenize(text);
    if (tokens.length > 0) return tokens;
    const { bos, sep, eos } = this.#model.tokens;
    const frame = [bos, sep ?? eos].filter((token) => token !== null);
    if (frame.length === 0) throw new Error("the vocabulary has no token for an empty text");
    return frame;
  }

  async #embed(tokens: readonly Token[]): Promise<Float32Array> {
    const { vector } = await this.#context.getEmbeddingFor([...tokens]);
    return toUnitLength(vector);
  }
}

function toUnitLength(vector: readonly number[]): Float32Array {
  const length = Math.hypot(...vector);
  if (!(length > 0 && length < Number.POSITIVE_INFINITY)) throw new Error(`an embedding has length ${length}`);
  return Float32Array.from(vector, (value) => value / length);
}
