import { z } from "zod";
import { type AccountId, accountIdSchema, type NodeId, nodeIdSchema } from "../ids.ts";
import { auditStates } from "./audit-moves.ts";
import { type CheckVerdict, checkVerdictSchema } from "./judge-check.ts";

/** A node with its operator. */
const partySchema = z.strictObject({ nodeId: nodeIdSchema, operator: accountIdSchema });
export type Party = z.infer<typeof partySchema>;

const opinionSchema = z.strictObject({ validator: partySchema, verdict: checkVerdictSchema, atMs: z.number() });
export type Opinion = z.infer<typeof opinionSchema>;

/** The dice of a case, thrown where the deployment's secret is. */
export const auditPlanSchema = z.strictObject({
  /** A good word is to be confirmed by a second operator. */
  wantsSecond: z.boolean(),
  /** Once the answer is settled as valid, a validator is tested by an altered copy of it. */
  wantsProbe: z.boolean(),
});
export type AuditPlan = z.infer<typeof auditPlanSchema>;

/** One audited answer, as its object stores it. */
export const auditCaseSchema = z.strictObject({
  state: z.enum(auditStates),
  /** All nodes that made a part of the answer; the last one committed it. */
  makers: z.array(partySchema).min(1).max(64),
  plan: auditPlanSchema,
  /** Of the answer itself, in the order in which they came, one for each operator. */
  opinions: z.array(opinionSchema).max(9),
  /** Of the altered copy. */
  probeOpinions: z.array(opinionSchema).max(2),
  /** What the caller was told, once. */
  told: z.enum(["valid", "invalid", "undecided", "unchecked"]).nullable(),
  openedAtMs: z.number(),
});
export type AuditCase = z.infer<typeof auditCaseSchema>;

export type AuditEvent =
  | {
      type: "checked";
      validator: Party;
      verdict: CheckVerdict;
      /** False for one that has yet to be trusted as a validator: its good word is confirmed by a second. */
      isTrusted: boolean;
    }
  /** No validator of another operator is to be had, or the wait for one is over. */
  | { type: "noValidator" }
  | { type: "appealed" };

/** How a validator's word compares with what came out. */
export interface Validation {
  validator: Party;
  wasRight: boolean;
  /** By an altered copy, of which the truth is known; else by what other validators said. */
  isProbe: boolean;
}

export type AuditEffect =
  /** `probe`: of a copy altered as `plant-case.ts` does it; else of the answer as it is. */
  | {
      type: "askValidator";
      kind: "real" | "probe";
      excludeNodes: readonly NodeId[];
      excludeOperators: readonly AccountId[];
    }
  /** What the caller may be told, before all is settled. At most once a case. */
  | { type: "tell"; verdict: "valid" | "invalid" | "undecided" | "unchecked" }
  /** The answer's verdict stands: to be counted for or against each maker. At most once a case. */
  | {
      type: "settle";
      outcome: "valid" | "invalid" | "undecided" | "unchecked";
      isGross: boolean;
      meanMargin: number;
      positions: number;
      /** Operators whose validators say so. */
      confirmedBy: readonly AccountId[];
      /** True for an `invalid` that only two operators confirm, since no third was to be had: it weighs half. */
      isShort: boolean;
    }
  /** An appeal is over; `overturned` takes back what `settle` counted against the makers. */
  | { type: "settleAppeal"; outcome: "upheld" | "overturned" }
  /** To be counted for or against validators. */
  | { type: "validations"; validations: readonly Validation[] }
  /** To be taken back from validators: they were counted by an earlier `validations`. */
  | { type: "takeBack"; validations: readonly Validation[] };

export interface AuditStep {
  auditCase: AuditCase;
  effects: readonly AuditEffect[];
  /** The event's type where the case's state does not know it: nothing has changed then. */
  ignored?: AuditEvent["type"];
}

/** A fresh case, and whom to ask first. */
export declare function openCase(subject: { makers: readonly Party[]; plan: AuditPlan }, nowMs: number): AuditStep;

/** Moves a case by one event and says what its owner must now do, in order. */
export declare function stepCase(auditCase: AuditCase, event: AuditEvent, nowMs: number): AuditStep;
