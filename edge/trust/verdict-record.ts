import type { VerdictRecord } from "../../core/record/entry.ts";
import type { AuditCase } from "../../core/validation/audit-case.ts";
import type { AuditOrder } from "./audit-order.ts";

/** A case's verdict for the record. `accused` is the part of the answer that it is about. */
export function verdictRecord(
  outcome: VerdictRecord["outcome"],
  {
    order,
    auditCase,
    accused,
    revision,
    nowMs,
  }: {
    order: AuditOrder;
    auditCase: AuditCase;
    accused: AuditOrder["parts"][number];
    revision: number;
    nowMs: number;
  },
): VerdictRecord {
  const last = auditCase.opinions.at(-1)?.verdict;
  return {
    kind: "verdict",
    taskId: order.taskId,
    ...{ nodeId: accused.nodeId, operator: accused.operator, outcome },
    ...{ modelName: order.card.name, modelSha256: order.card.fileSha256 },
    meanMargin: last?.meanMargin ?? null,
    positions: last?.positions ?? 0,
    reasons: [...new Set(auditCase.opinions.flatMap(({ verdict }) => verdict.reasons))],
    validators: auditCase.opinions.map(({ validator }) => validator.nodeId),
    ...{ revision, atMs: nowMs },
  };
}
