import type { Opinion, Validation } from "./audit-case.ts";

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

/** Who was right, where this is what came out. */
export function validationsOf(opinions: readonly Opinion[], outcome: "valid" | "invalid"): Validation[] {
  const right = outcome === "valid" ? "plausible" : "implausible";
  return opinions.map(({ validator, verdict }) => ({
    validator,
    wasRight: verdict.outcome === right,
    isProbe: false,
  }));
}

/** Their mean; 0 for none. */
export function meanOf(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
