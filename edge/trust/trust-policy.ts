/**
 * How far an answer is to be trusted: `single` is one node's word, `sampled` lets a secret share be checked afterwards,
 * `checked` has each checked before it counts.
 */
export const trustPolicies = ["single", "sampled", "checked"] as const;
export type TrustPolicy = (typeof trustPolicies)[number];

export const defaultTrust: TrustPolicy = "sampled";

/** What a check has said of an answer, as its caller is told: `pending` was chosen to be checked and is not yet judged. */
export type Verdict = "unchecked" | "pending" | "valid" | "invalid" | "undecided";

/** What a caller wants to know of an answer besides itself. */
export interface TrustWish {
  trust: TrustPolicy;
  /** The answer brings what is needed to check it (`core/commitment/evidence.ts`). */
  wantsEvidence: boolean;
}
