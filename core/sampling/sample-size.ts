export interface SampleWish {
  /** The share one expects to find, 0 to 1. */
  share: number;
  /** By how much the found share may be off. */
  error: number;
  /** Standard deviations of the confidence: 1.96 is 95 %. */
  z: number;
  /** How many there are in all; `null` for no end. */
  population: number | null;
}

/**
 * How many of a population to look at, so that the share found is within `error` of the true one: n₀ = Z²p(1−p)/e²
 * (Cochran 1977, "Sampling Techniques", 4.1), and with a finite population n = n₀ / (1 + (n₀ − 1)/N). A real number,
 * 0 where `share` is 0 or 1, never more than the population.
 */
export function sampleSize({ share, error, z, population }: SampleWish): number {
  const unbounded = (z * z * share * (1 - share)) / (error * error);
  if (population === null) return unbounded;
  const wanted = unbounded > 1 ? unbounded / (1 + (unbounded - 1) / population) : unbounded;
  return Math.min(population, wanted);
}
