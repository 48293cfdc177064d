import type { z } from "zod";
import { limits } from "../../../core/limits.ts";
import type { Logprob } from "../../../core/wire/node-frame.ts";
import type { ChatMessage } from "../../../core/wire/task-input.ts";
import {
  type Completion,
  completionEventSchema,
  completionSchema,
  contentSchema,
  type ModelMeta,
  type Probability,
  type Props,
  templateSchema,
  tokensSchema,
} from "./llama-server-schemas.ts";
import { samplerSeed } from "./sampler-seed.ts";
import { type GenerateRequest, openAiMessage, type Upstream, type UpstreamPiece } from "./upstream.ts";
import { UpstreamError } from "./upstream-error.ts";
import type { UpstreamHttp } from "./upstream-http.ts";

/**
 * Tokens asked for at once, without a stream, after a stream has left one out. So a text full of characters that are
 * several tokens each costs two requests for so many tokens, and not for each character.
 */
const burstTokens = 16;

/** How a stream ended; `hole` where it has left out a token. */
type StreamEnd = "stop" | "length" | "hole";

/**
 * llama.cpp's `llama-server`. Every answer, new or continued, is a `/completion` of token ids.
 *
 * Its streams leave out the ids of tokens that end within a character (`process_token` of llama.cpp sends nothing
 * then), but count them in `tokens_predicted`. Where the count shows such a hole, what came after it is thrown away
 * before anybody has seen it, and asked for again without a stream: whole answers have all their ids.
 */
export class LlamaServer implements Upstream {
  readonly software: string;
  readonly penalizesPrompt = true;
  /** It tells probabilities of what it generates, and none of a prompt. */
  readonly reader = undefined;
  readonly slots: number;
  readonly contextTokens: number;
  readonly vocabularyTokens: number;
  readonly sizeBytes: number;
  readonly fingerprint: string;
  readonly #http: UpstreamHttp;

  constructor({ http, props, meta }: { http: UpstreamHttp; props: Props; meta: ModelMeta }) {
    this.#http = http;
    this.software = `llama-server ${props.build_info ?? "of an unknown build"}`;
    this.slots = props.total_slots;
    this.contextTokens = props.default_generation_settings.n_ctx;
    this.vocabularyTokens = meta.n_vocab;
    this.sizeBytes = Math.round(meta.size);
    const { vocab_type, n_vocab, n_ctx_train, n_embd, n_params, size } = meta;
    this.fingerprint = JSON.stringify([vocab_type, n_vocab, n_ctx_train, n_embd, n_params, size, props.chat_template]);
  }

  async tokenizeChat(messages: readonly ChatMessage[]): Promise<number[]> {
    const body = { messages: messages.map(openAiMessage), add_generation_prompt: true };
    const { prompt } = await this.#ask("/apply-template", { body, schema: templateSchema });
    return this.tokenize(prompt);
  }

  async tokenize(text: string): Promise<number[]> {
    const body = { content: text, add_special: true, parse_special: true };
    return (await this.#ask("/tokenize", { body, schema: tokensSchema })).tokens;
  }

  async detokenize(tokenIds: readonly number[]): Promise<string> {
    return (await this.#ask("/detokenize", { body: { tokens: tokenIds }, schema: contentSchema })).content;
  }

  async *generate(request: GenerateRequest): AsyncGenerator<UpstreamPiece, "stop" | "length"> {
    const made: number[] = [];
    for (;;) {
      const end = yield* this.#stream(request, made);
      if (end !== "hole") return end;
      if (request.sampling.logprobs !== undefined) {
        throw new UpstreamError("llama-server has left out a token, and its probability cannot be had again");
      }
      const after = yield* this.#burst(request, made);
      if (after !== undefined) return after;
    }
  }

  /** Ids given out are put into `made`. */
  async *#stream(request: GenerateRequest, made: number[]): AsyncGenerator<UpstreamPiece, StreamEnd> {
    const before = made.length;
    // One without text may be the token that ends the answer, which only the next event tells.
    let held: UpstreamPiece | undefined;
    const body = { ...this.#body(request, made), stream: true };
    const events = this.#http.events("/completion", { body, schema: completionEventSchema, signal: request.signal });
    for await (const event of events) {
      if ("error" in event) throw new UpstreamError(`llama-server: ${event.error.message}`);
      const isEnd = event.stop && event.stop_type === "eos";
      const known = made.length - before + (held === undefined ? 0 : 1) + event.tokens.length;
      const isHole = event.tokens_predicted > known;
      if (held !== undefined && !(isEnd && !isHole)) {
        made.push(...held.tokenIds);
        yield held;
      } else if (isEnd && !isHole && event.tokens.length === 0 && held === undefined) {
        throw new UpstreamError("llama-server shows the token that ends an answer; start it without --special");
      }
      held = undefined;
      if (isHole) return "hole";
      if (event.stop) return isEnd ? "stop" : "length";
      if (event.tokens.length === 0) continue;
      const piece = pieceOf(event, request);
      if (event.content === "") held = piece;
      else {
        made.push(...piece.tokenIds);
        yield piece;
      }
    }
    throw new UpstreamError("llama-server's stream broke off");
  }

  /** The next tokens at once; `undefined` where the answer goes on after them. */
  async *#burst(
    request: GenerateRequest,
    made: number[],
  ): AsyncGenerator<UpstreamPiece, "stop" | "length" | undefined> {
    // A grammar cannot be entered midway: such an answer is made whole, once more.
    const again = request.grammar === undefined ? made : [];
    const most = request.grammar === undefined ? burstTokens : request.maxTokens;
    const body = { ...this.#body(request, again), stream: false };
    const n_predict = Math.min(most, request.maxTokens - again.length);
    const whole = await this.#http.json("/completion", {
      body: { ...body, n_predict },
      schema: completionSchema,
      timeoutMs: limits.silenceMs,
      signal: request.signal,
    });
    const isEnd = whole.stop_type === "eos";
    const tokenIds = isEnd ? whole.tokens.slice(0, -1) : whole.tokens;
    const fresh = tokenIds.slice(made.length - again.length);
    const isOther = again.length === 0 && made.some((id, index) => id !== tokenIds[index]);
    if (isOther) throw new UpstreamError("llama-server made another answer the second time");
    if (fresh.length === 0 && !isEnd) throw new UpstreamError("llama-server made nothing");
    made.push(...fresh);
    if (fresh.length > 0) yield { tokenIds: fresh, text: undefined };
    if (isEnd) return "stop";
    return whole.tokens.length < n_predict || made.length >= request.maxTokens ? "length" : undefined;
  }

  #body(request: GenerateRequest, made: readonly number[]): Record<string, unknown> {
    const { sampling, grammar, passesEnds = false } = request;
    const position = request.continuedTokens + made.length;
    return {
      prompt: [...request.tokenIds, ...made],
      n_predict: request.maxTokens - made.length,
      return_tokens: true,
      cache_prompt: true,
      seed: samplerSeed({ seed: sampling.seed, position }),
      temperature: sampling.temperature,
      top_p: sampling.topP,
      frequency_penalty: sampling.frequencyPenalty,
      presence_penalty: sampling.presencePenalty,
      // All of them; some builds refuse the -1 that others take for it.
      repeat_last_n: this.contextTokens,
      // What llama-server does of its own accord and nobody has asked for.
      ...{ top_k: 0, min_p: 0, typical_p: 1, repeat_penalty: 1, dry_multiplier: 0, xtc_probability: 0 },
      ...(sampling.logitBias === undefined ? {} : { logit_bias: sampling.logitBias }),
      ...(sampling.logprobs === undefined ? {} : { n_probs: Math.max(1, sampling.logprobs.top) }),
      ...(grammar === undefined ? {} : { grammar }),
      ...(passesEnds ? { ignore_eos: true } : {}),
    };
  }

  /** Questions whose answers need no model; the router waits five seconds for an ack. */
  #ask<T>(path: string, question: { body: unknown; schema: z.ZodType<T> }): Promise<T> {
    return this.#http.json(path, { ...question, timeoutMs: limits.ackMs });
  }
}

function pieceOf(event: Completion, { sampling }: GenerateRequest): UpstreamPiece {
  const piece = { tokenIds: event.tokens, text: event.content };
  if (sampling.logprobs === undefined) return piece;
  const told = event.completion_probabilities ?? [];
  if (told.length !== event.tokens.length) throw new UpstreamError("llama-server tells no probability of a token");
  const { top } = sampling.logprobs;
  return { ...piece, logprobs: told.map((probability) => logprobOf(probability, top)) };
}

function logprobOf({ top_logprobs, ...chosen }: Probability, top: number): Logprob {
  const of = ({ id, bytes, logprob }: Omit<Probability, "top_logprobs">) => ({
    id,
    logprob: Math.min(0, logprob),
    bytes: Buffer.from(bytes).toString("base64"),
  });
  return { ...of(chosen), top: top_logprobs.slice(0, top).map(of) };
}
