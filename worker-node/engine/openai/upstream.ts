import type { Logprob } from "../../../core/wire/node-frame.ts";
import type { ChatMessage, Sampling } from "../../../core/wire/task-input.ts";
import type { PromptReader } from "./upstream-reading.ts";

/** What of a task an upstream can do, found by trying. A task that needs more is refused by the field's name. */
export interface UpstreamFeatures {
  /** Answers held to a grammar: `response_format`. */
  format: boolean;
  logitBias: boolean;
  logprobs: boolean;
  /** How many of the likeliest tokens it tells in each place of a prompt, for checks; 0 where it tells none. */
  readTop: number;
}

/** One answer to generate, from the ids of everything that stands before it. */
export interface GenerateRequest {
  /** The prompt, and after it what was continued. */
  tokenIds: readonly number[];
  /** How many of them were continued: the sampler's seed depends on it. */
  continuedTokens: number;
  maxTokens: number;
  sampling: Sampling;
  /** EBNF that the answer must fit. */
  grammar?: string | undefined;
  /** True where the model's own ends are passed over: to measure speed. */
  passesEnds?: boolean;
  signal: AbortSignal;
}

/** What came. Every id that was generated is in one piece, in order, without the one that ends the answer. */
export interface UpstreamPiece {
  tokenIds: readonly number[];
  /** What these ids add to the text; `undefined` where it must be asked for. Whole characters, maybe of ids before. */
  text: string | undefined;
  logprobs?: readonly Logprob[];
}

/** How a model reads texts, of either kind. */
export interface UpstreamTokenizer {
  /** One more than the highest id. */
  readonly vocabularyTokens: number;
  /** Longest prompt plus answer. */
  readonly contextTokens: number;
  /** Ids of a text with what the model wants before and after it. */
  tokenize(text: string): Promise<number[]>;
}

/** A server of models with its own API beside OpenAI's: what differs between llama-server and vLLM. */
export interface Upstream extends UpstreamTokenizer {
  /** As the operator knows it, for the log: `llama-server b6500`. */
  readonly software: string;
  /** Answers it makes at once; `undefined` where it does not say. */
  readonly slots: number | undefined;
  /** What it says of the model's weights, in one line: part of the model's identity where there is no file. */
  readonly fingerprint: string;
  /** Size of the weights in bytes, where it says so. */
  readonly sizeBytes: number | undefined;
  /** Whether penalties count the prompt's tokens too: only then can an answer with penalties be continued. */
  readonly penalizesPrompt: boolean;
  /** Reads texts for checks; `undefined` where the server cannot. */
  readonly reader: PromptReader | undefined;
  /** The conversation by the upstream's own template, up to where the assistant speaks. */
  tokenizeChat(messages: readonly ChatMessage[]): Promise<number[]>;
  /** The text of ids; a character that is not whole is U+FFFD. */
  detokenize(tokenIds: readonly number[]): Promise<string>;
  /** Generates until the model ends the answer (`stop`) or `maxTokens` are there. Throws `UpstreamError`. */
  generate(request: GenerateRequest): AsyncGenerator<UpstreamPiece, "stop" | "length">;
}

/** A message as OpenAI's API has it. */
export function openAiMessage({ role, content, name, toolCalls, toolCallId }: ChatMessage): Record<string, unknown> {
  const calls = toolCalls?.map((call) => ({
    id: call.id,
    type: "function",
    function: { name: call.name, arguments: call.arguments },
  }));
  return {
    role,
    content,
    ...(name === undefined ? {} : { name }),
    ...(calls === undefined ? {} : { tool_calls: calls }),
    ...(toolCallId === undefined ? {} : { tool_call_id: toolCallId }),
  };
}
