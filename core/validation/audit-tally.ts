import type { Opinion, Validation } from "./audit-case.ts";
import type { CheckVerdict, Doubt } from "./judge-check.ts";

/** After so many words a case is decided, or undecided. */
export const mostOpinions = 5;
/** So many operators must say that an answer is bad, and so many more than say otherwise. */
const badWords = 3;
const badLead = 2;

/** How many say good, and how many bad. */
export function tallyOf(opinions: readonly Opinion[]): { good: number; bad: number } {
  const bad = opinions.filter(({ verdict }) => verdict.outcome === "implausible").length;
  return { good: opinions.length - bad, bad };
}

/** True where enough say bad for the answer to count against its makers. */
export function isStillInvalid(opinions: readonly Opinion[]): boolean {
  const { good, bad } = tallyOf(opinions);
  return bad >= badWords && bad - good >= badLead;
}

/**
 * Who was right, where this is what came out, and who was clearly wrong. Whoever measured about the same as the others
 * and merely stood on the other side of the threshold was not, and is left out.
 */
export function validationsOf(opinions: readonly Opinion[], outcome: "valid" | "invalid"): Validation[] {
  const rightWord = outcome === "valid" ? "plausible" : "implausible";
  const right = opinions.filter(({ verdict }) => verdict.outcome === rightWord).map(({ verdict }) => verdict);
  return opinions
    .filter(({ verdict }) => verdict.outcome === rightWord || isClearlyOff(verdict, right))
    .map(({ validator, verdict }) => ({ validator, wasRight: verdict.outcome === rightWord, isProbe: false }));
}

/** How many times the others' measure one may find, or they one's own, without being wrong. */
const tolerance = 2;

function isClearlyOff(verdict: CheckVerdict, right: readonly CheckVerdict[]): boolean {
  const bad = verdict.outcome === "implausible" ? [verdict] : right;
  if (bad.every(({ reasons }) => reasons.some((reason) => !isMeasured(reason)))) return true;
  return (["meanMargin", "endMargin"] as const).some((measure) => {
    const others = meanOf(right.map((each) => each[measure]));
    const [less = 0, more = 0] = [verdict[measure], others].toSorted((one, other) => one - other);
    // Both must tell, or a difference between two that are next to nothing would.
    return more > tolerance * less && bad.some((each) => each.reasons.length > 0 && each[measure] >= more / tolerance);
  });
}

function isMeasured(reason: Doubt): boolean {
  return reason === "margin" || reason === "end_margin" || reason === "vectors";
}

/** Their mean; 0 for none. */
export function meanOf(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
