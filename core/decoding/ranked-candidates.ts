import type { Sampling } from "../wire/task-input.ts";
import { gumbelNoise } from "./gumbel-noise.ts";

/** Tokens that top-k, top-p, min-p and the noise get to see: the likeliest after bias, penalties and mask. */
export const candidateTokens = 64;

/** A token and its logit, as the model gave it. */
export type Candidate = readonly [tokenId: number, logit: number];

/** A candidate that may be chosen: its logit after bias and penalties, and that plus its share of the noise. */
export interface Ranked {
  tokenId: number;
  logit: number;
  score: number;
}

/** The rules by which a token of an answer is chosen. */
export type DecodingRules = Pick<
  Sampling,
  "temperature" | "topP" | "topK" | "minP" | "frequencyPenalty" | "presencePenalty" | "logitBias" | "seed"
>;

/** What came before: how often each token came in this answer, and how many tokens it has. */
export interface DecodingPlace {
  counts: ReadonlyMap<number, number>;
  position: number;
}

/**
 * The candidates in the order of docs/SAMPLING.md: bias, penalties, the {@link candidateTokens} likeliest, top-k,
 * top-p, min-p, noise. `adjusted` are all candidates given, likeliest first, the lower id first of two alike; the first
 * `kept` of them may be chosen. What the mask of a format forbids is not to be among `candidates`.
 */
export function rankCandidates(
  candidates: readonly Candidate[],
  rules: DecodingRules,
  place: DecodingPlace,
): { adjusted: readonly Candidate[]; kept: readonly Ranked[] } {
  const adjusted = adjustLogits(candidates, rules, place.counts);
  adjusted.sort(([leftId, left], [rightId, right]) => right - left || leftId - rightId);
  const likeliest = adjusted.slice(0, Math.min(candidateTokens, rules.topK ?? candidateTokens));
  const kept = withinMinP(withinTopP(likeliest, rules.topP), rules.minP ?? 0);
  const scored = kept.map(([tokenId, logit]) => ({ tokenId, logit, score: scoreOf(tokenId, logit, rules, place) }));
  return { adjusted, kept: scored };
}

/** `logit + temperature × noise`: in logits, whatever the temperature. */
export function scoreOf(tokenId: number, logit: number, rules: DecodingRules, { position }: DecodingPlace): number {
  const { temperature, seed } = rules;
  return temperature === 0 ? logit : logit + temperature * gumbelNoise({ seed, position, tokenId });
}

/** Of how many of the likeliest one is chosen: all that top-k lets through; at temperature 0 the first. */
export function choosableTokens({ temperature, topK = candidateTokens }: DecodingRules): number {
  return temperature === 0 ? 1 : Math.min(candidateTokens, topK);
}

/** The candidates in their order with bias and penalties in their logits. */
export function adjustLogits(
  candidates: readonly Candidate[],
  { frequencyPenalty, presencePenalty, logitBias = [] }: DecodingRules,
  counts: ReadonlyMap<number, number>,
): Candidate[] {
  const bias = new Map(logitBias);
  return candidates.map(([id, logit]): Candidate => {
    const count = counts.get(id) ?? 0;
    const penalty = count === 0 ? 0 : count * frequencyPenalty + presencePenalty;
    return [id, logit + (bias.get(id) ?? 0) - penalty];
  });
}

/** The likeliest whose shares reach `topP`, the one that reaches it included; shares are of the candidates given. */
function withinTopP(sorted: readonly Candidate[], topP: number): readonly Candidate[] {
  if (topP >= 1) return sorted;
  const weights = weightsOf(sorted);
  const wanted = topP * weights.reduce((sum, weight) => sum + weight, 0);
  let reached = 0;
  const end = weights.findIndex((weight) => {
    reached += weight;
    return reached >= wanted;
  });
  return end === -1 ? sorted : sorted.slice(0, end + 1);
}

/** Those at least `minP` times as likely as the likeliest. */
function withinMinP(sorted: readonly Candidate[], minP: number): readonly Candidate[] {
  if (minP === 0) return sorted;
  const end = weightsOf(sorted).findIndex((weight) => weight < minP);
  return end === -1 ? sorted : sorted.slice(0, end);
}

/** How likely each is beside the likeliest. */
function weightsOf(sorted: readonly Candidate[]): number[] {
  const most = sorted[0]?.[1] ?? 0;
  return sorted.map(([, logit]) => Math.exp(logit - most));
}
