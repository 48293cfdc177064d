import { calibrationOf } from "../../core/validation/calibration.ts";
import { type CheckVerdict, judgeCheck } from "../../core/validation/judge-check.ts";
import type { CheckReport, Finding } from "../../core/wire/node-frame.ts";
import type { AuditOrder } from "./audit-order.ts";

/** A validator's word on an answer that several nodes may have made. */
export interface PartVerdict {
  verdict: CheckVerdict;
  /** Whose part it is about, by its place in the order: the worst one, the last where all is well. */
  part: number;
}

/**
 * Judges an answer part by part, since each of its nodes answers for its own tokens only: the one that ended it for the
 * text, the end and the commitment too. `accused` is the part in question once a validator has found one bad; the others
 * are then not looked at any more. `undefined` where the report does not answer what was asked.
 */
export function judgeParts(
  report: CheckReport,
  order: AuditOrder,
  claims: {
    positions: readonly number[];
    checkedPromptTokens: number;
    isCommitmentGood: boolean;
    accused: number | null;
  },
): PartVerdict | undefined {
  const { positions, checkedPromptTokens, isCommitmentGood, accused } = claims;
  const whole = { promptTokens: 0, checkedPromptTokens: 0, isCommitmentGood: true };
  const answerTokens = order.tokenIds.length;
  const model = order.card.fileSha256;
  // Whether it answers what was asked is seen in all of it.
  if (judgeCheck(report, { ...whole, answerTokens, positions }, calibrationOf(model)) === undefined) return undefined;
  const last = order.parts.length - 1;
  let worst: PartVerdict | undefined;
  for (const [part, { promptTokens, decoding }] of order.parts.entries()) {
    if (accused !== null && part !== accused) continue;
    const isLast = part === last;
    const isWithin = ({ position }: Pick<Finding, "position">) => isOf(position, part, order);
    const own: CheckReport = {
      findings: report.findings.filter(isWithin),
      isTextOfTokens: !isLast || report.isTextOfTokens,
      isEndRight: !isLast || report.isEndRight,
    };
    const verdict = judgeCheck(
      own,
      {
        ...{ promptTokens, checkedPromptTokens, answerTokens },
        isCommitmentGood: !isLast || isCommitmentGood,
        positions: positions.filter((position) => isWithin({ position })),
      },
      calibrationOf(model, decoding),
    );
    if (verdict === undefined) return undefined;
    if (worst === undefined || isWorse(verdict, worst.verdict)) worst = { verdict, part };
  }
  return worst;
}

function isOf(position: number, part: number, { parts, tokenIds }: AuditOrder): boolean {
  const from = part === 0 ? 0 : (parts[part - 1]?.answerTokens ?? 0);
  const to = part === parts.length - 1 ? tokenIds.length + 1 : (parts[part]?.answerTokens ?? 0);
  return position >= from && position < to;
}

/** Of two that are alike the later one stands for the answer. */
function isWorse(verdict: CheckVerdict, than: CheckVerdict): boolean {
  if (verdict.outcome !== than.outcome) return verdict.outcome === "implausible";
  return verdict.outcome === "plausible" || verdict.meanMargin > than.meanMargin;
}
