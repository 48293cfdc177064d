import type { Quantiles } from "./router/load-job.ts";

/** Quantiles of these times, by the nearest rank; sorts the array in place. All 0 where it is empty. */
export function quantilesOf(times: number[]): Quantiles {
  times.sort((one, other) => one - other);
  const at = (share: number) => times[Math.max(0, Math.ceil(share * times.length) - 1)] ?? 0;
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1) };
}

/** The middle of these numbers; of an even count the mean of the two in the middle, 0 of none. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((one, other) => one - other);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? 0;
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? 0) + upper) / 2 : upper;
}
