import { z } from "zod";
import { limits } from "../../../core/limits.ts";
import type { ChatMessage } from "../../../core/wire/task-input.ts";
import { samplerSeed } from "./sampler-seed.ts";
import { type GenerateRequest, openAiMessage, type Upstream, type UpstreamPiece } from "./upstream.ts";
import { UpstreamError } from "./upstream-error.ts";
import type { UpstreamHttp } from "./upstream-http.ts";
import { VllmReader } from "./vllm-reader.ts";

const tokenId = z.int().nonnegative();

export const tokenizedSchema = z.object({ tokens: z.array(tokenId), max_model_len: z.int().positive() });
const detokenizedSchema = z.object({ prompt: z.string() });
/** An event of `/v1/completions` with `return_token_ids`; the last one of some versions has no choice. */
const completionEventSchema = z.union([
  z.object({
    choices: z
      .array(
        z.object({
          text: z.string(),
          token_ids: z.array(tokenId).nullish(),
          finish_reason: z.string().nullish(),
        }),
      )
      .max(1),
  }),
  z.object({ error: z.object({ message: z.string() }) }),
]);

/** vLLM's server, of one of its models. Every answer, new or continued, is a `/v1/completions` of token ids. */
export class Vllm implements Upstream {
  readonly software: string;
  readonly penalizesPrompt = false;
  readonly slots = undefined;
  readonly sizeBytes = undefined;
  readonly contextTokens: number;
  readonly vocabularyTokens: number;
  readonly fingerprint: string;
  readonly reader: VllmReader;
  readonly #http: UpstreamHttp;
  readonly #model: string;

  /** `root` is what vLLM loaded the weights from. */
  constructor({
    http,
    model,
    root,
    version,
    contextTokens,
    vocabularyTokens,
  }: {
    http: UpstreamHttp;
    model: string;
    root: string;
    version: string;
    contextTokens: number;
    vocabularyTokens: number;
  }) {
    this.#http = http;
    this.#model = model;
    this.software = `vLLM ${version}`;
    this.contextTokens = contextTokens;
    this.vocabularyTokens = vocabularyTokens;
    this.reader = new VllmReader({ http, model });
    this.fingerprint = JSON.stringify([root, vocabularyTokens]);
  }

  async tokenizeChat(messages: readonly ChatMessage[]): Promise<number[]> {
    return this.#tokenize({ messages: messages.map(openAiMessage), add_generation_prompt: true });
  }

  async tokenize(text: string): Promise<number[]> {
    return this.#tokenize({ prompt: text });
  }

  async detokenize(tokenIds: readonly number[]): Promise<string> {
    const body = { model: this.#model, tokens: tokenIds };
    const { prompt } = await this.#http.json("/detokenize", {
      body,
      schema: detokenizedSchema,
      timeoutMs: limits.ackMs,
    });
    return prompt;
  }

  async *generate(request: GenerateRequest): AsyncGenerator<UpstreamPiece, "stop" | "length"> {
    const body = this.#body(request);
    const { signal } = request;
    for await (const event of this.#http.events("/v1/completions", { body, schema: completionEventSchema, signal })) {
      if ("error" in event) throw new UpstreamError(`vLLM: ${event.error.message}`);
      const [choice] = event.choices;
      if (choice === undefined) continue;
      const ids = choice.token_ids ?? [];
      if (ids.length === 0 && choice.text !== "") throw new UpstreamError("vLLM sent a text without its token ids");
      const isEnd = choice.finish_reason === "stop";
      // No stop strings are given, so the last token is the one that ends an answer.
      const tokenIds = isEnd ? ids.slice(0, -1) : ids;
      if (isEnd) this.reader.noteEnd(ids.at(-1));
      if (tokenIds.length > 0 || choice.text !== "") yield { tokenIds, text: choice.text };
      if (isEnd) return "stop";
      if (choice.finish_reason === "length") return "length";
      if (typeof choice.finish_reason === "string") throw new UpstreamError(`vLLM ended by ${choice.finish_reason}`);
    }
    throw new UpstreamError("vLLM's stream broke off");
  }

  async #tokenize(asked: Record<string, unknown>): Promise<number[]> {
    const body = { model: this.#model, ...asked };
    const { tokens } = await this.#http.json("/tokenize", { body, schema: tokenizedSchema, timeoutMs: limits.ackMs });
    return tokens;
  }

  #body({ tokenIds, continuedTokens, maxTokens, sampling, grammar, passesEnds = false }: GenerateRequest): unknown {
    return {
      model: this.#model,
      prompt: tokenIds,
      max_tokens: maxTokens,
      stream: true,
      return_token_ids: true,
      seed: samplerSeed({ seed: sampling.seed, position: continuedTokens }),
      temperature: sampling.temperature,
      top_p: sampling.topP,
      frequency_penalty: sampling.frequencyPenalty,
      presence_penalty: sampling.presencePenalty,
      // What the model's own generation config may ask for and the caller has not; -1 is all tokens.
      ...{ top_k: -1, min_p: 0, repetition_penalty: 1 },
      ...(sampling.logitBias === undefined ? {} : { logit_bias: Object.fromEntries(sampling.logitBias) }),
      ...(grammar === undefined ? {} : { structured_outputs: { grammar } }),
      ...(passesEnds ? { ignore_eos: true } : {}),
    };
  }
}
