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
 * act as OpenAI defines them, negative ones too. llama.cpp applies top-p before the temperature. Of the generated
 * tokens the first `continuedTokens` are another node's: its draws are not repeated for the tokens after them.
 */
export function samplingOptions({
  sampling,
  generated,
  longestAnswerTokens,
  continuedTokens,
}: {
  sampling: Sampling;
  generated: readonly Token[];
  longestAnswerTokens: number;
  continuedTokens: number;
}): SequenceEvaluateOptions {
  const { temperature, topP, frequencyPenalty, presencePenalty } = sampling;
  const options: SequenceEvaluateOptions = {
    temperature,
    topP,
    topK: candidateTokens,
    minP: 0,
    seed: samplerSeed({ seed: sampling.seed, position: continuedTokens }),
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

/**
 * The seed of an answer's sampler from token `position` on, 32 bits; at 0 the task's own, but for the one that llama.cpp
 * takes for none.
 *
 * A sampler begun anew with the task's seed would draw the same numbers that chose the first tokens, and so lean
 * towards repeating them. The mixing is MurmurHash3's finaliser.
 */
export function samplerSeed({ seed, position }: { seed: number; position: number }): number {
  const own = position === 0 ? seed : mix(seed, position);
  return own === drawnSeed ? drawnSeed - 1 : own;
}

function mix(seed: number, position: number): number {
  let mixed = seed ^ Math.imul(position, 0x9e37_79b1);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
