import { auditShareOf } from "./audit-share.ts";
import { posteriorOf } from "./posterior.ts";
import { fade, type Reputation } from "./reputation.ts";
import { isTrusted } from "./validator-record.ts";

/** What a node's record comes to now. */
export interface TrustStanding {
  /** The share of its answers to check, 0.01 to 1. */
  auditShare: number;
  isSuspended: boolean;
  /** Neither as a node nor as a validator is it suspended. */
  mayValidate: boolean;
  /** As a validator: its good word needs no second. */
  isTrustedValidator: boolean;
  /** Expected share of its answers that would pass a check, 0 to 1, and that number's standard deviation. */
  score: number;
  uncertainty: number;
  /** One sentence for its operator. */
  reason: string;
}

/** What a node's record comes to at this time; nothing of it changes by asking. */
export function standingInTrust(reputation: Reputation, nowMs: number): TrustStanding {
  const now = fade(reputation, nowMs);
  const { mean, deviation } = posteriorOf(now);
  const isSuspended = now.suspendedAtMs !== null;
  const auditShare = auditShareOf(now);
  return {
    auditShare,
    isSuspended,
    mayValidate: !isSuspended && now.validator.suspendedAtMs === null,
    isTrustedValidator: !isSuspended && isTrusted(now.validator),
    score: mean,
    uncertainty: deviation,
    reason: [reasonOf(now, auditShare), validatorReason(now)].filter((text) => text !== "").join(" "),
  };
}

function reasonOf({ suspendedAtMs, owed, owedFor, failures }: Reputation, auditShare: number): string {
  if (suspendedAtMs !== null) {
    const since = new Date(suspendedAtMs).toISOString();
    return `Suspended since ${since}: ${failures.length} of its answers failed their checks; appeal or ask the deployment's admin.`;
  }
  if (owed === 0) return `${(auditShare * 100).toFixed(1)} % of its answers are checked.`;
  const why = {
    newness: "it is new here",
    suspicion: "an answer looked suspicious",
    failure: "an answer failed its check",
  }[owedFor];
  return `Every answer is checked since ${why}, until ${owed} more are valid.`;
}

function validatorReason({ validator }: Reputation): string {
  if (validator.suspendedAtMs === null) return "";
  return `It is asked for no more checks since ${new Date(validator.suspendedAtMs).toISOString()}: its words did not hold.`;
}
