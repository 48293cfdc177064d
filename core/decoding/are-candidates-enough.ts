import { adjustLogits, type Candidate, choosableTokens, type DecodingRules } from "./ranked-candidates.ts";

/**
 * Whether no token beyond `candidates` can be among those that may be chosen ({@link choosableTokens} of them, or the
 * one likeliest at temperature 0). `candidates` are those that the mask allows, of tokens read from the likeliest on
 * (masked ones may be left out), and each token that a bias or a penalty lifts; `leastRead` is the logit of the last
 * token read, −∞ where all were. A token that was not read is no likelier than that; one as likely might have the
 * lower id, so it takes tokens above it.
 */
export function areCandidatesEnough(
  candidates: readonly Candidate[],
  { rules, counts, leastRead }: { rules: DecodingRules; counts: ReadonlyMap<number, number>; leastRead: number },
): boolean {
  if (leastRead === Number.NEGATIVE_INFINITY) return true;
  const above = adjustLogits(candidates, rules, counts).filter(([, logit]) => logit > leastRead).length;
  return above >= choosableTokens(rules);
}
