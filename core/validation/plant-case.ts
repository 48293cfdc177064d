import type { Sampling } from "../wire/task-input.ts";

const leastTemperature = 0.7;

/**
 * The sampling of a copy to test a validator by: another seed, a temperature of at least 0.7 and no top-p, so that the
 * ids are not what it chooses any more. Ids and text stay as they are, so that nothing but reading the model tells the
 * copy from a real case. An answer of which every token was certain stays plausible: that is why a validator that finds
 * a copy good is wrong only if another finds it bad (`audit-case.ts`).
 */
export function plantedSampling(sampling: Sampling, random: () => number): Sampling {
  const { seed, temperature } = sampling;
  const step = 1 + Math.floor(random() * 0xffff_ffff);
  return {
    ...sampling,
    seed: (seed + step) % 0x1_0000_0000,
    temperature: Math.max(temperature, leastTemperature),
    topP: 1,
  };
}
