import { sampleSize } from "../sampling/sample-size.ts";
import { upperFailureRate } from "./posterior.ts";
import type { Reputation } from "./reputation.ts";

/** A share is never less: one who is never checked may do as he likes. */
export const leastShare = 0.01;

/**
 * The share of a node's answers to check, {@link leastShare} to 1: all while it owes checked answers
 * (`Reputation.owed`); else as many of its answers as tell its rate of failures to within 1 % with 95 % confidence, the
 * rate being taken as high as it may well be. That is 90 % after 100 answers, 14 % after 1,000, 1 % after 10,000.
 */
export function auditShareOf(reputation: Pick<Reputation, "owed" | "tasks" | "valid" | "invalid">): number {
  if (reputation.owed > 0) return 1;
  const population = Math.max(1, reputation.tasks);
  const wanted = sampleSize({ share: upperFailureRate(reputation), error: 0.01, z: 1.96, population });
  return Math.min(1, Math.max(leastShare, wanted / population));
}
