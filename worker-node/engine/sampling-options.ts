import type { SequenceEvaluateOptions, Token } from "node-llama-cpp";
import type { Sampling } from "../../core/wire/task-input.ts";

/**
 * Candidates kept before top-p and temperature. Sorting a whole vocabulary of 49 152 tokens cost 3 ms a token, and
 * larger vocabularies cost more; 1024 cost nothing that could be measured.
 */
const candidateTokens = 1024;

/** llama.cpp reads this seed as "draw one" (`LLAMA_DEFAULT_SEED`), so an answer could not be repeated. */
const drawnSeed = 0xffff_ffff;

/**
 * llama.cpp's sampler options for one answer; temperature 0 takes the likeliest token after penalties.
 *
 * `generated` is read anew at each token: OpenAI's penalties count the answer's own tokens, not the prompt's. They
 * act as OpenAI defines them, negative ones too. llama.cpp applies top-p before the temperature.
 */
export function samplingOptions({
  sampling,
  generated,
  longestAnswerTokens,
}: {
  sampling: Sampling;
  generated: readonly Token[];
  longestAnswerTokens: number;
}): SequenceEvaluateOptions {
  const { temperature, topP, seed, frequencyPenalty, presencePenalty } = sampling;
  const options: SequenceEvaluateOptions = {
    temperature,
    topP,
    topK: candidateTokens,
    minP: 0,
    seed: seed === drawnSeed ? drawnSeed - 1 : seed,
  };
  if (frequencyPenalty === 0 && presencePenalty === 0) return options;
  return {
    ...options,
    repeatPenalty: {
      punishTokens: () => [...generated],
      maxPunishTokens: longestAnswerTokens,
      penalty: 1,
      frequencyPenalty,
      presencePenalty,
    },
  };
}
