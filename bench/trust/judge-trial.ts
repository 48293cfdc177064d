import { findCatalogueModel } from "../../core/model/catalogue.ts";
import { type Calibration, calibrationOf } from "../../core/validation/calibration.ts";
import { isPlausibleByCopy } from "../../core/validation/is-plausible-by-copy.ts";
import { type CheckVerdict, judgeCheck } from "../../core/validation/judge-check.ts";
import type { TrialRow } from "./trial-row.ts";

/** By which the rows of the table are judged: the honest model's. */
export function honestCalibration(): Calibration {
  const model = findCatalogueModel("smollm2-135m-instruct");
  if (model === undefined) throw new Error("the honest model is not in the catalogue");
  return calibrationOf(model.fileSha256);
}

/**
 * What the router makes of a trial's report where the validator reads its copy first, and whether it read its own file
 * after it. Throws where the trial has no margins of the copy.
 */
export function judgeCopyFirst(
  row: TrialRow,
  calibration: Calibration,
): { verdict: CheckVerdict; isReadTwice: boolean } {
  const { copyMargins, positions, tokens: answerTokens } = row;
  if (copyMargins === undefined) throw new Error(`${row.adversary} ${row.promptId} was not read by the copy`);
  const findings = positions.map((position, at) => ({ position, margin: copyMargins[at] ?? 0, rank: 0 }));
  const isReadTwice = !isPlausibleByCopy(findings, { answerTokens, calibration });
  return { verdict: judgeTrial(isReadTwice ? row : { ...row, margins: copyMargins }, calibration), isReadTwice };
}

/** What the router makes of a trial's report; the commitment is sound, since a cheat signs what it hands in. */
export function judgeTrial(row: TrialRow, calibration: Calibration): CheckVerdict {
  const { positions, margins, ranks } = row;
  const findings = positions.map((position, at) => ({ position, margin: margins[at] ?? 0, rank: ranks[at] ?? 0 }));
  const verdict = judgeCheck(
    { findings, isTextOfTokens: row.isTextOfTokens, isEndRight: row.isEndRight },
    {
      ...{ promptTokens: row.promptTokens, checkedPromptTokens: row.checkedPromptTokens },
      ...{ isCommitmentGood: true, answerTokens: row.tokens, positions },
    },
    calibration,
  );
  if (verdict === undefined) throw new Error(`the report of ${row.adversary} ${row.promptId} is no answer`);
  return verdict;
}
