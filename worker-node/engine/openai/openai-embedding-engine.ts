import { z } from "zod";
import { limits } from "../../../core/limits.ts";
import type { EmbedInput } from "../../../core/wire/task-input.ts";
import type { ContextOverflow, Engine, PreparedEmbedding } from "../engine.ts";
import { RunningWork } from "../running-work.ts";
import { UnsupportedTaskError } from "../unsupported-task-error.ts";
import type { UpstreamTokenizer } from "./upstream.ts";
import { UpstreamError } from "./upstream-error.ts";
import type { UpstreamHttp } from "./upstream-http.ts";

/** Texts in one request: few, so that a cancelled task stops soon. */
const textsAtOnce = 8;

/** Texts counted at once, each by a request of its own: a task has up to 2,048, and its ack is due within five seconds. */
const countsAtOnce = 32;

/** Length and time of the run that measures speed. */
const speedRun = { words: 48, ms: 500 } as const;

export const embeddingsSchema = z.object({
  data: z.array(z.object({ index: z.int().nonnegative(), embedding: z.array(z.number()).min(1) })),
});

/** An embedding model that a server of the operator's runs, by `/v1/embeddings`. */
export class OpenAiEmbeddingEngine implements Engine {
  readonly kind = "embedding";
  readonly contextTokens: number;
  readonly dimensions: number;
  readonly #http: UpstreamHttp;
  readonly #model: string;
  readonly #tokenizer: UpstreamTokenizer;
  readonly #work = new RunningWork();

  /** `contextTokens` is the longest text that the upstream embeds whole. */
  constructor(options: {
    http: UpstreamHttp;
    model: string;
    tokenizer: UpstreamTokenizer;
    contextTokens: number;
    dimensions: number;
  }) {
    this.#http = options.http;
    this.#model = options.model;
    this.#tokenizer = options.tokenizer;
    this.contextTokens = options.contextTokens;
    this.dimensions = options.dimensions;
  }

  async prepareChat(): Promise<never> {
    throw new Error("an embedding engine was asked for a chat answer");
  }

  /** As every engine's; `UpstreamError` where the upstream fails. */
  async prepareEmbedding({ texts }: EmbedInput): Promise<PreparedEmbedding | ContextOverflow> {
    this.#work.ensureOpen();
    const { contextTokens } = this;
    const lengths: number[] = [];
    for (let start = 0; start < texts.length; start += countsAtOnce) {
      const part = texts.slice(start, start + countsAtOnce);
      lengths.push(...(await Promise.all(part.map((text) => this.#lengthOf(text)))));
    }
    for (const [inputIndex, promptTokens] of lengths.entries()) {
      if (promptTokens > contextTokens) return { kind: "context_overflow", promptTokens, contextTokens, inputIndex };
    }
    return {
      kind: "prepared",
      promptTokens: lengths.reduce((sum, length) => sum + length, 0),
      run: ({ onVector, signal }) =>
        this.#work.track(async () => {
          for (let start = 0; start < texts.length; start += textsAtOnce) {
            signal.throwIfAborted();
            const vectors = await this.#embed(texts.slice(start, start + textsAtOnce), signal);
            for (const [offset, vector] of vectors.entries()) onVector(start + offset, vector);
          }
        }),
    };
  }

  async prepareCheck(): Promise<never> {
    throw new Error("this engine was asked for a check");
  }

  measureTokensPerSecond(): Promise<number> {
    return this.#work.track(async () => {
      const text = "fox ".repeat(Math.min(speedRun.words, Math.floor(this.contextTokens / 4)));
      const length = await this.#lengthOf(text);
      const { signal } = new AbortController();
      await this.#embed([text], signal);
      const startedMs = performance.now();
      let tokens = 0;
      do {
        await this.#embed([text], signal);
        tokens += length;
      } while (performance.now() - startedMs < speedRun.ms);
      return (tokens * 1_000) / (performance.now() - startedMs);
    });
  }

  async dispose(): Promise<void> {
    await this.#work.close();
  }

  async #lengthOf(text: string | readonly number[]): Promise<number> {
    if (typeof text === "string") return (await this.#tokenizer.tokenize(text)).length;
    const { vocabularyTokens } = this.#tokenizer;
    const strange = text.find((id) => id >= vocabularyTokens);
    if (strange === undefined) return text.length;
    const message = `the model has ${vocabularyTokens} tokens and none has the id ${strange}`;
    throw new UnsupportedTaskError(message, { param: "input" });
  }

  async #embed(input: EmbedInput["texts"], signal: AbortSignal): Promise<Float32Array[]> {
    const body = { model: this.#model, input, encoding_format: "float" };
    const question = { body, schema: embeddingsSchema, timeoutMs: limits.silenceMs, signal };
    const { data } = await this.#http.json("/v1/embeddings", question);
    const vectors = input.map((_, index) => data.find((item) => item.index === index)?.embedding);
    return vectors.map((vector) => {
      if (vector?.length === this.dimensions) return toUnitLength(vector);
      throw new UpstreamError(`the upstream sent ${vector?.length ?? "no"} numbers for ${this.dimensions}`);
    });
  }
}

function toUnitLength(vector: readonly number[]): Float32Array {
  const length = Math.hypot(...vector);
  if (!(length > 0 && length < Number.POSITIVE_INFINITY)) {
    throw new UpstreamError(`the upstream sent an embedding of length ${length}`);
  }
  return Float32Array.from(vector, (value) => value / length);
}
