import type { Finding } from "../wire/node-frame.ts";
import { type Calibration, thresholdFor } from "./calibration.ts";
import { judgeMargins } from "./judge-check.ts";

/**
 * What a copy of other bits finds is believed up to this share of each bound. Up to the bounds themselves, 9 of 116 close cheats
 * that the file finds would have passed; up to half of them none of these, and 34 of 628 honest answers are read twice.
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
