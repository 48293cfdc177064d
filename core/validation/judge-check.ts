import { z } from "zod";
import { mostMargin } from "../decoding/claim-margin.ts";
import type { CheckReport, Finding } from "../wire/node-frame.ts";
import { type Calibration, thresholdFor } from "./calibration.ts";

/** What spoke against an answer; `margin`, `end_margin` and `vectors` are measured, the others are so or not. */
export const doubtSchema = z.enum(["margin", "end", "end_margin", "text", "prompt_tokens", "commitment", "vectors"]);
export type Doubt = z.infer<typeof doubtSchema>;

/** A failure that is so many times beyond its bound is gross. */
export const grossTimes = 4;

/** What one validator's report says of an answer. */
export const checkVerdictSchema = z.strictObject({
  outcome: z.enum(["plausible", "implausible"]),
  /** So far off that no honest pair is known to have come near. */
  isGross: z.boolean(),
  /** Over the positions looked at, in logits; 0 where none was. */
  meanMargin: z.number().min(0).max(mostMargin),
  /** At the end's place alone; 0 where that was not looked at. */
  endMargin: z.number().min(0).max(mostMargin),
  /** The highest rank of a claimed token, 0 being the choice. */
  worstRank: z.int().nonnegative(),
  positions: z.int().nonnegative(),
  reasons: z.array(doubtSchema),
});
export type CheckVerdict = z.infer<typeof checkVerdictSchema>;

/** What the router knows of the answer besides the report. */
export interface CheckClaims {
  /** As the answering node counted them, and as the validator did (its ack). */
  promptTokens: number;
  checkedPromptTokens: number;
  /** The chain's head is that of the ids, and the node signed it. */
  isCommitmentGood: boolean;
  /** The answer's length, which as a position stands for its end. */
  answerTokens: number;
  /** What was asked for, in order. */
  positions: readonly number[];
}

/**
 * Judges an answer by a validator's report: implausible if any of {@link Doubt} speaks against it. `undefined` where the
 * report does not answer what was asked, one finding for each position in order: then the validator has failed and the
 * answer is not judged.
 */
export function judgeCheck(
  report: CheckReport,
  claims: CheckClaims,
  calibration: Calibration,
): CheckVerdict | undefined {
  const { findings } = report;
  const { positions, answerTokens } = claims;
  if (findings.length !== positions.length) return undefined;
  if (findings.some(({ position }, index) => position !== positions[index])) return undefined;
  const { meanMargin, endMargin, isMarginBad, isEndMarginBad } = judgeMargins(findings, { answerTokens, calibration });
  const against: [Doubt, boolean][] = [
    ["margin", isMarginBad],
    ["end", !report.isEndRight],
    ["end_margin", isEndMarginBad],
    ["text", !report.isTextOfTokens],
    ["prompt_tokens", claims.promptTokens !== claims.checkedPromptTokens],
    ["commitment", !claims.isCommitmentGood],
  ];
  const reasons = against.filter(([, isSo]) => isSo).map(([doubt]) => doubt);
  return {
    outcome: reasons.length === 0 ? "plausible" : "implausible",
    // What text ids spell and what was signed is computed, not measured: no rounding makes it differ.
    isGross:
      (isMarginBad && meanMargin >= grossFrom(calibration, findings.length)) ||
      !report.isTextOfTokens ||
      !claims.isCommitmentGood,
    meanMargin,
    endMargin,
    worstRank: findings.reduce((worst, { rank }) => Math.max(worst, rank), 0),
    positions: findings.length,
    reasons,
  };
}

/** From which mean on so many positions are gross: where there are few, an honest mean scatters as their bound does. */
function grossFrom(calibration: Calibration, positions: number): number {
  const ofBound = grossTimes * thresholdFor(calibration, positions);
  return Math.max(calibration.grossMeanMargin, Math.min(mostMargin, ofBound));
}

/** What the margins alone say of an answer of so many tokens; good ones where no position was looked at. */
export function judgeMargins(
  findings: readonly Finding[],
  { answerTokens, calibration }: { answerTokens: number; calibration: Calibration },
): { meanMargin: number; endMargin: number; isMarginBad: boolean; isEndMarginBad: boolean } {
  const sum = findings.reduce((total, { margin }) => total + margin, 0);
  const meanMargin = findings.length === 0 ? 0 : Math.min(mostMargin, sum / findings.length);
  const endMargin = findings.find(({ position }) => position === answerTokens)?.margin ?? 0;
  return {
    ...{ meanMargin, endMargin, isEndMarginBad: endMargin > calibration.endMargin },
    isMarginBad: findings.length > 0 && meanMargin > thresholdFor(calibration, findings.length),
  };
}
