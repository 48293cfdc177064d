import { mostMargin } from "../decoding/claim-margin.ts";
import type { EmbeddingCalibration } from "./calibration.ts";
import type { CheckVerdict } from "./judge-check.ts";

/**
 * Judges embeddings by those that another node made of the same texts: implausible where the worst pair's cosine is
 * below the calibrated one. `meanMargin` is the worst pair's 1 − cosine, `positions` the number of pairs. `undefined`
 * where `again` is not as many vectors of the same length, or one is not of finite numbers: then the validator has failed.
 */
export function judgeVectors(
  claimed: readonly Float32Array[],
  again: readonly Float32Array[],
  calibration: EmbeddingCalibration,
): CheckVerdict | undefined {
  if (claimed.length !== again.length) return undefined;
  let worst = 1;
  for (const [index, vector] of claimed.entries()) {
    const other = again[index];
    if (other === undefined || other.length !== vector.length || !other.every(Number.isFinite)) return undefined;
    worst = Math.min(worst, cosineOf(vector, other));
  }
  const isBad = worst < calibration.leastCosine;
  return {
    outcome: isBad ? "implausible" : "plausible",
    isGross: isBad && worst < calibration.grossCosine,
    meanMargin: Math.min(mostMargin, Math.max(0, 1 - worst)),
    endMargin: 0,
    worstRank: 0,
    positions: claimed.length,
    reasons: isBad ? ["vectors"] : [],
  };
}

/** −1 where either has no direction, or is not of finite numbers. */
function cosineOf(left: Float32Array, right: Float32Array): number {
  let [dot, leftSquare, rightSquare] = [0, 0, 0];
  for (const [index, value] of left.entries()) {
    const other = right[index] ?? 0;
    dot += value * other;
    leftSquare += value * value;
    rightSquare += other * other;
  }
  const cosine = dot / Math.sqrt(leftSquare * rightSquare);
  return Number.isFinite(cosine) ? cosine : -1;
}
