import { type Candidate, candidateTokens, type DecodingRules } from "./ranked-candidates.ts";

/**
 * How far each candidate is from the border of what top-k, top-p and min-p let through, in logits: above 0 outside, by what
 * would have to change for it to be let in; 0 or below inside, by what would have to change to shut it out (−∞:
 * nothing can). `adjusted` are candidates in the order of docs/SAMPLING.md, whose section on margins this is; the result
 * has their length and order.
 */
export function borderDistances(
  adjusted: readonly Candidate[],
  { topK = candidateTokens, topP, minP = 0 }: Pick<DecodingRules, "topK" | "topP" | "minP">,
): number[] {
  const logits = adjusted.map(([, logit]) => logit);
  const count = Math.min(candidateTokens, topK);
  const byTopP = topP < 1 ? topPDistances(logits.slice(0, count), topP) : [];
  return logits.map((logit, at) => {
    const beside = logits[at < count ? count : count - 1] ?? Number.NEGATIVE_INFINITY;
    // What top-k shut out would come in as the last.
    const ofTopP = byTopP[Math.min(at, count - 1)] ?? Number.NEGATIVE_INFINITY;
    // The likeliest is beside the next, which may overtake it.
    const most = logits[at === 0 ? 1 : 0] ?? Number.NEGATIVE_INFINITY;
    const ofMinP = minP === 0 ? Number.NEGATIVE_INFINITY : most + Math.log(minP) - logit;
    return Math.max(beside - logit, ofTopP, ofMinP);
  });
}

/**
 * A candidate is inside while the share of the weights before it is less than `topP`. Two things move it over that line:
 * what is before it gains or loses (of a share, δ logits are δ of its log-odds), and it changes places. Of all places it may
 * come to, the one that takes the least counts.
 */
function topPDistances(logits: readonly number[], topP: number): number[] {
  const most = logits[0] ?? 0;
  const weights = logits.map((logit) => Math.exp(logit - most));
  const sums: number[] = [0];
  for (const [at, weight] of weights.entries()) sums.push((sums[at] ?? 0) + weight);
  const total = sums.at(-1) ?? 0;
  const beyond = (sum: number) => logOdds(sum / total) - logOdds(topP);
  const beyondAt = sums.map(beyond);
  return logits.map((logit, at) => {
    if ((beyondAt[at] ?? 0) >= 0) {
      const ways = logits.slice(0, at + 1).map((other, place) => Math.max(other - logit, beyondAt[place] ?? 0));
      return Math.min(...ways);
    }
    // Those of a later place come before it, and it is not before itself.
    const ways = logits.slice(at).map((other, later) => {
      const before = (sums[at + later + 1] ?? 0) - (weights[at] ?? 0);
      return Math.max(logit - other, -beyond(before));
    });
    return -Math.min(...ways);
  });
}

const logOdds = (share: number): number => (share >= 1 ? Number.POSITIVE_INFINITY : Math.log(share / (1 - share)));
