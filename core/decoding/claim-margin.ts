import { borderDistances } from "./border-distance.ts";
import {
  type Candidate,
  type DecodingPlace,
  type DecodingRules,
  rankCandidates,
  scoreOf,
} from "./ranked-candidates.ts";

/** A margin is never more: one token that cannot be tells no more than one that is far from it. */
export const mostMargin = 5;

/**
 * How far inside the border a candidate must be to speak against a claim, in logits (`border-distance.ts`). Closer to it,
 * another kernel's rounding may have shut it out, and with much noise it would have been the choice.
 */
export const borderLogits = 0.25;

/** How a claimed token stands beside the choice that the checker would have made. */
export interface Margin {
  /**
   * By how many logits the claimed token falls short of being the choice: 0 where it is, at most {@link mostMargin}. It
   * is what the score falls short of the best that is clear of the border ({@link borderLogits}), plus, for a token that
   * top-k, top-p or min-p shut out, how far outside it is.
   */
  margin: number;
  /** How many candidates clear of the border come before it: 0 where it is the choice, the number of candidates where it is none. */
  rank: number;
}

/**
 * The margin of the best of `claimed` (one token id, or, for an end, each token that ends an answer). `candidates` are
 * those of {@link rankCandidates}, and should reach somewhat beyond the likeliest that may be chosen, so that a token
 * that another kernel's rounding let in is measured and not lost.
 */
export function claimMargin(
  claimed: readonly number[],
  candidates: readonly Candidate[],
  rules: DecodingRules,
  place: DecodingPlace,
): Margin {
  const { adjusted, kept } = rankCandidates(candidates, rules, place);
  if (kept.length === 0) return { margin: mostMargin, rank: 0 };
  const distances = borderDistances(adjusted, rules);
  const clear = kept.filter((_, at) => (distances[at] ?? 0) <= -borderLogits);
  const best = Math.max(...clear.map(({ score }) => score));
  let least: Margin = { margin: mostMargin, rank: adjusted.length };
  for (const tokenId of claimed) {
    const place0 = adjusted.findIndex(([id]) => id === tokenId);
    const found = adjusted[place0];
    if (found === undefined) continue;
    const score = scoreOf(tokenId, found[1], rules, place);
    const shortOfKept = place0 < kept.length ? 0 : Math.max(0, distances[place0] ?? 0);
    const margin = Math.min(mostMargin, Math.max(0, best - score) + shortOfKept);
    const before = clear.filter((each) => each.score > score && each.tokenId !== tokenId).length;
    const rank = place0 < kept.length ? before : Math.max(before, clear.length);
    if (margin < least.margin || (margin === least.margin && rank < least.rank)) least = { margin, rank };
  }
  return least;
}
