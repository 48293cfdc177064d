import { z } from "zod";
import { candidateTokens } from "../../core/decoding/ranked-candidates.ts";
import { limits } from "../../core/limits.ts";
import type { Sampling } from "../../core/wire/task-input.ts";
import { invalidValue } from "./invalid.ts";

export const temperatureSchema = z.number().min(0, "must be at least 0").max(2, "must be at most 2").nullish();
export const topPSchema = z.number().min(0, "must be at least 0").max(1, "must be at most 1").nullish();
/** vLLM's and llama.cpp's word for how many of the likeliest tokens may be chosen; 0 and −1 mean all there are. */
export const topKSchema = z.int("must be a whole number").min(-1, "must be at least -1").nullish();
const minPSchema = z.number().min(0, "must be at least 0").max(1, "must be at most 1").nullish();
export const tokenCount = z.int("must be a whole number").min(1, "must be at least 1").nullish();
const penalty = z.number().min(-2, "must be at least -2").max(2, "must be at most 2").nullish();
const bias = z.number().min(-100, "must be at least -100").max(100, "must be at most 100");

/** What OpenAI's chat and text completions have in common. */
export const samplingFields = {
  temperature: temperatureSchema,
  top_p: topPSchema,
  top_k: topKSchema,
  min_p: minPSchema,
  frequency_penalty: penalty,
  presence_penalty: penalty,
  seed: z.int("must be a whole number").nullish(),
  stop: z
    .union([z.string(), z.array(z.string()).max(limits.stopSequences)], {
      error: `must be a text or a list of at most ${limits.stopSequences} texts`,
    })
    .nullish(),
  logit_bias: z.record(z.string(), bias).nullish(),
  n: z
    .int("must be a whole number")
    .min(1, "must be at least 1")
    .max(limits.choices, `must be at most ${limits.choices}`)
    .nullish(),
  stream: z.boolean().nullish(),
  stream_options: z
    .object({ include_usage: z.boolean().nullish(), include_obfuscation: z.boolean().nullish() })
    .nullish(),
  user: z.string().nullish(),
};

const samplingSchema = z.object(samplingFields);

/** A request's sampling with OpenAI's defaults, and a seed drawn where it has none. */
export function toSampling(
  request: z.output<typeof samplingSchema>,
  { maxTokens, topLogprobs }: { maxTokens: number | null; topLogprobs: number | undefined },
): Sampling {
  const logitBias = toLogitBias(request.logit_bias ?? {});
  return {
    temperature: request.temperature ?? 1,
    // 0 means the single likeliest token, which the smallest positive share also gives.
    topP: Math.max(request.top_p ?? 1, Number.EPSILON),
    frequencyPenalty: request.frequency_penalty ?? 0,
    presencePenalty: request.presence_penalty ?? 0,
    seed: (request.seed ?? randomSeed()) >>> 0,
    stop: stopSequences(request.stop),
    maxTokens,
    ...toTopK(request.top_k),
    ...(request.min_p == null || request.min_p === 0 ? {} : { minP: request.min_p }),
    ...(logitBias.length === 0 ? {} : { logitBias }),
    ...(topLogprobs === undefined ? {} : { logprobs: { top: topLogprobs } }),
  };
}

/** There are never more than {@link candidateTokens} to choose from, so a larger number asks for nothing. */
export function toTopK(topK: number | null | undefined): { topK?: number } {
  return topK == null || topK < 1 || topK >= candidateTokens ? {} : { topK };
}

/** The same for a further choice of one request: other draws, in an order that the seed decides. */
export function ofChoice(sampling: Sampling, choice: number): Sampling {
  return choice === 0 ? sampling : { ...sampling, seed: (sampling.seed + choice) >>> 0 };
}

export function stopSequences(stop: string | readonly string[] | null | undefined, param = "stop"): string[] {
  const sequences = (typeof stop === "string" ? [stop] : (stop ?? [])).filter((sequence) => sequence !== "");
  if (sequences.some((sequence) => sequence.length > limits.stopSequenceCharacters)) {
    throw invalidValue(param, `a sequence has at most ${limits.stopSequenceCharacters} characters`);
  }
  return sequences;
}

export function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}

function toLogitBias(biases: Readonly<Record<string, number>>): [number, number][] {
  const entries = Object.entries(biases);
  if (entries.length > limits.logitBias) {
    throw invalidValue("logit_bias", `must name at most ${limits.logitBias} tokens`);
  }
  return entries.map(([id, value]) => {
    if (!/^(0|[1-9][0-9]{0,9})$/.test(id)) {
      throw invalidValue("logit_bias", `${JSON.stringify(id.slice(0, 40))} is no token id`);
    }
    return [Number(id), value];
  });
}
