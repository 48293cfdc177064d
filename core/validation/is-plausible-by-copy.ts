import type { Finding } from "../wire/node-frame.ts";
import { type Calibration, thresholdFor } from "./calibration.ts";
import { judgeMargins } from "./judge-check.ts";

/**
 * What a copy of other bits finds is believed up to this share of each bound. Up to the bounds themselves, 18 of 219
 * close cheats that the file finds would have passed; up to half of them 1, and 54 of 1,250 honest answers are read
 * twice (docs/TRUST.md).
 */
const believed = 0.5;

/**
 * Whether what a validator's reading copy found of an answer of `answerTokens` tokens is so clearly plausible that its own
 * file need not be read (docs/decisions/0021). True where no position was looked at.
 */
export function isPlausibleByCopy(
  findings: readonly Finding[],
  { answerTokens, calibration }: { answerTokens: number; calibration: Calibration },
): boolean {
  if (findings.length === 0) return true;
  const { meanMargin, endMargin } = judgeMargins(findings, { answerTokens, calibration });
  const isMeanGood = meanMargin <= believed * thresholdFor(calibration, findings.length);
  return isMeanGood && endMargin <= believed * calibration.endMargin;
}
