import { z } from "zod";
import { limits } from "../../core/limits.ts";
import { Refusal } from "../../core/refusal.ts";
import type { CompletionInput } from "../../core/wire/task-input.ts";
import { invalidValue } from "./invalid.ts";
import { type NetworkWishes, networkSchema, networkWishes } from "./network.ts";
import { parseRequest } from "./parse-request.ts";
import { ofChoice, samplingFields, tokenCount, toSampling } from "./sampling.ts";
import { refuseUnsupported } from "./unsupported.ts";

/** OpenAI's own default here. */
const defaultMaxTokens = 16;

const tokenIds = z.array(z.int().nonnegative()).min(1).max(limits.promptTokens);
const promptSchema = z.union([z.string(), tokenIds, z.array(z.string()).min(1), z.array(tokenIds).min(1)], {
  error: "must be a text, a list of texts, a list of token ids, or a list of such lists",
});

export const completionRequestSchema = z.object({
  model: z.string().min(1),
  prompt: promptSchema,
  ...samplingFields,
  max_tokens: z.int("must be a whole number").min(0, "must be at least 0").nullish(),
  logprobs: z.int("must be a whole number").min(0, "must be at least 0").max(5, "must be at most 5").nullish(),
  echo: z.boolean().nullish(),
  best_of: tokenCount,
  network: networkSchema,
});

/** A text completion request, checked and defaulted. */
export interface CompletionOrder extends NetworkWishes {
  /** One for each choice: each prompt's choices in a row, as OpenAI orders them. */
  inputs: CompletionInput[];
  /** Each choice's text begins with its prompt. */
  isEcho: boolean;
  isStream: boolean;
  includeUsage: boolean;
}

/**
 * The order of a `POST /v1/completions` body (OpenAI API reference, Create completion). Refuses by name what is wrong and
 * what is not supported; ignores what OpenAI ignores.
 */
export function parseCompletionRequest(body: unknown): CompletionOrder {
  const request = parseRequest(completionRequestSchema, body);
  if (typeof body === "object" && body !== null) {
    refuseUnsupported(body, ["suffix"], { suffix: (value) => value === "" });
  }
  const wishes = networkWishes(request);
  const choices = request.n ?? 1;
  if (request.best_of != null && request.best_of !== choices) {
    throw invalidValue("best_of", "it must be the same as 'n': every answer that is made is given");
  }
  if (request.max_tokens === 0) throw invalidValue("max_tokens", "must be at least 1");
  const prompts = promptsOf(request.prompt);
  if (prompts.length * choices > limits.completions) {
    throw invalidValue("prompt", `prompts times 'n' must be at most ${limits.completions}`);
  }
  const isEcho = request.echo ?? false;
  if (isEcho && prompts.some((prompt) => typeof prompt !== "string")) {
    throw invalidValue("echo", "it is only supported for prompts that are texts");
  }
  refuseTooLong(prompts);
  const maxTokens = request.max_tokens ?? defaultMaxTokens;
  const sampling = toSampling(request, { maxTokens, topLogprobs: request.logprobs ?? undefined });
  return {
    ...wishes,
    isEcho,
    isStream: request.stream ?? false,
    includeUsage: request.stream_options?.include_usage ?? false,
    inputs: prompts.flatMap((prompt) =>
      Array.from({ length: choices }, (_, choice) => ({
        kind: "completion" as const,
        prompt,
        sampling: ofChoice(sampling, choice),
      })),
    ),
  };
}

function promptsOf(prompt: z.output<typeof promptSchema>): CompletionInput["prompt"][] {
  if (typeof prompt === "string") return [prompt];
  const [first] = prompt;
  return typeof first === "number"
    ? [prompt.filter((id) => typeof id === "number")]
    : prompt.filter((each) => typeof each !== "number");
}

function refuseTooLong(prompts: readonly CompletionInput["prompt"][]): void {
  const characters = prompts.reduce((sum, prompt) => sum + (typeof prompt === "string" ? prompt.length : 0), 0);
  if (characters <= limits.promptCharacters) return;
  throw new Refusal({
    code: "prompt_too_large",
    param: "prompt",
    message: `The prompt has ${characters} characters and the limit is ${limits.promptCharacters}. Shorten it.`,
  });
}
