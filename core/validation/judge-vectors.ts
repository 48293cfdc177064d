import type { EmbeddingCalibration } from "./calibration.ts";
import type { CheckVerdict } from "./judge-check.ts";

/**
 * Judges embeddings by those that another node made of the same texts: implausible where the worst pair's cosine is
 * below the calibrated one. `undefined` where `again` is not as many vectors of the same length: then the validator has
 * failed.
 */
export declare function judgeVectors(
  claimed: readonly Float32Array[],
  again: readonly Float32Array[],
  calibration: EmbeddingCalibration,
): CheckVerdict | undefined;
