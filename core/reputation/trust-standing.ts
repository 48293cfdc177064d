import type { Reputation } from "./reputation.ts";

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

export declare function standingInTrust(reputation: Reputation, nowMs: number): TrustStanding;
