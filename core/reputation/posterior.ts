import type { Reputation } from "./reputation.ts";

type Counts = Pick<Reputation, "valid" | "invalid">;

/** One-sided 95 %. */
const z = 1.645;

/**
 * What is known of the share of a node's answers that would pass a check: mean and standard deviation of
 * Beta(1 + valid, 1 + invalid), so that of a new node nothing is known (0.5 ± 0.29).
 */
export function posteriorOf({ valid, invalid }: Counts): { mean: number; deviation: number } {
  const total = valid + invalid + 2;
  const mean = (1 + valid) / total;
  return { mean, deviation: Math.sqrt((mean * (1 - mean)) / (total + 1)) };
}

/** The rate of failures that a node may well have: mean and 1.645 deviations, at most one half. */
export function upperFailureRate(counts: Counts): number {
  const { mean, deviation } = posteriorOf(counts);
  return Math.min(0.5, 1 - mean + z * deviation);
}
