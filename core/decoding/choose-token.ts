import { type Candidate, type DecodingPlace, type DecodingRules, rankCandidates } from "./ranked-candidates.ts";

/**
 * The token that comes next: of the candidates that may be chosen ({@link rankCandidates}) the one with the highest
 * score, the likelier of two alike. `undefined` where there is no candidate. With temperature 0 that is the likeliest;
 * above, it is drawn with the softmax of the kept logits over the temperature (the Gumbel-max trick: Gumbel 1954,
 * Maddison, Tarlow, Minka 2014).
 */
export function chooseToken(
  candidates: readonly Candidate[],
  rules: DecodingRules,
  place: DecodingPlace,
): number | undefined {
  const { kept } = rankCandidates(candidates, rules, place);
  let [best] = kept;
  for (const each of kept) if (best === undefined || each.score > best.score) best = each;
  return best?.tokenId;
}
