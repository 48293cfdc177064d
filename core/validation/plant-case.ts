import type { Sampling } from "../wire/task-input.ts";

/**
 * The sampling of a copy to test a validator by: another seed, and a temperature of at least 0.7, so that the ids are
 * not what it chooses any more. Ids and text stay as they are, so that nothing but reading the model tells the copy from
 * a real case.
 */
export declare function plantedSampling(sampling: Sampling, random: () => number): Sampling;
