import type { Sampling } from "../../core/wire/task-input.ts";

/** Candidates that top-p and the temperature see, as on the plain way (`sampling-options.ts`). */
export const candidateTokens = 1_024;

/** A token and its logit. */
export type Candidate = readonly [tokenId: number, logit: number];

/**
 * Chooses the next token among candidates that may come: bias, then penalties by how often a token came in the answer,
 * then the likeliest {@link candidateTokens}, then top-p, then the temperature, then a draw. The draw is a function of
 * the seed and the position in the answer, so a node that goes on with it draws as one that made it whole. Temperature
 * 0 takes the likeliest, the lower id of two alike. `undefined` where there is no candidate.
 */
export function chooseToken(
  candidates: readonly Candidate[],
  { sampling, counts, position }: { sampling: Sampling; counts: ReadonlyMap<number, number>; position: number },
): number | undefined {
  const { temperature, topP, frequencyPenalty, presencePenalty, logitBias = [] } = sampling;
  const bias = new Map(logitBias);
  const adjusted = candidates.map(([id, logit]): Candidate => {
    const count = counts.get(id) ?? 0;
    const penalty = count === 0 ? 0 : count * frequencyPenalty + presencePenalty;
    return [id, logit + (bias.get(id) ?? 0) - penalty];
  });
  adjusted.sort(([leftId, left], [rightId, right]) => right - left || leftId - rightId);
  const [best] = adjusted;
  if (best === undefined || temperature === 0) return best?.[0];
  const kept = withinTopP(adjusted.slice(0, candidateTokens), topP);
  const weights = kept.map(([, logit]) => Math.exp((logit - best[1]) / temperature));
  let left = drawAt(sampling.seed, position) * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [place, [id]] of kept.entries()) {
    left -= weights[place] ?? 0;
    if (left < 0) return id;
  }
  return kept.at(-1)?.[0];
}

/** The likeliest whose shares reach `topP`; `sorted` is likeliest first. */
function withinTopP(sorted: readonly Candidate[], topP: number): readonly Candidate[] {
  const most = sorted[0]?.[1] ?? 0;
  const weights = sorted.map(([, logit]) => Math.exp(logit - most));
  const wanted = topP * weights.reduce((sum, weight) => sum + weight, 0);
  let reached = 0;
  const end = weights.findIndex((weight) => {
    reached += weight;
    return reached >= wanted;
  });
  return end === -1 ? sorted : sorted.slice(0, end + 1);
}

/** A number from 0 up to 1 for a position of an answer: SplitMix64 (Steele, Lea, Flood 2014) at seed and position. */
export function drawAt(seed: number, position: number): number {
  const mask = 0xffff_ffff_ffff_ffffn;
  let mixed = ((BigInt(seed) << 32n) + (BigInt(position) + 1n) * 0x9e37_79b9_7f4a_7c15n) & mask;
  mixed = ((mixed ^ (mixed >> 30n)) * 0xbf58_476d_1ce4_e5b9n) & mask;
  mixed = ((mixed ^ (mixed >> 27n)) * 0x94d0_49bb_1331_11ebn) & mask;
  mixed ^= mixed >> 31n;
  return Number(mixed >> 11n) / 2 ** 53;
}
