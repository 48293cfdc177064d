import { z } from "zod";
import { type AccountId, accountIdSchema, type NodeId, nodeIdSchema } from "../ids.ts";
import { nextState } from "../task/attempt-moves.ts";
import { type AuditMove, type AuditState, auditMoves, auditStates } from "./audit-moves.ts";
import { isStillInvalid, meanOf, mostOpinions, tallyOf, validationsOf } from "./audit-tally.ts";
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

/** The one who missed a probe, and two who did not. */
const wordsOnMissedProbe = 3;

/** One audited answer, as its object stores it. */
export const auditCaseSchema = z.strictObject({
  state: z.enum(auditStates),
  /** All nodes that made a part of the answer; the last one committed it. */
  makers: z.array(partySchema).min(1).max(64),
  plan: auditPlanSchema,
  /** Of the answer itself, in the order in which they came, one for each operator. */
  opinions: z.array(opinionSchema).max(9),
  /** Of the altered copy. */
  probeOpinions: z.array(opinionSchema).max(wordsOnMissedProbe),
  /** How many opinions there were when the answer was settled; what comes later belongs to an appeal. */
  settledWith: z.int().nonnegative(),
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

type Told = NonNullable<AuditCase["told"]>;
type Settled = Extract<AuditEffect, { type: "settle" }>["outcome"];

/** How long a case looks for its next validator before it goes by what it has. */
export const validatorWaitMs = 600_000;
/** The same where nothing hangs on it but what is known of a validator: in a network of two operators it is in vain. */
const testWaitMs = 30_000;

/** How long a case in its present state looks for a validator until that counts as `noValidator`. */
export function waitMsOf({ state }: Pick<AuditCase, "state">): number {
  const isTest = state === "seconding" || state === "probing" || state === "confirming_probe";
  return isTest ? testWaitMs : validatorWaitMs;
}

/** A fresh case, and whom to ask first. */
export function openCase({ makers, plan }: { makers: readonly Party[]; plan: AuditPlan }, nowMs: number): AuditStep {
  const auditCase: AuditCase = {
    state: "open",
    makers: [...makers],
    plan,
    opinions: [],
    probeOpinions: [],
    settledWith: 0,
    told: null,
    openedAtMs: nowMs,
  };
  return { auditCase, effects: [ask(auditCase, "real")] };
}

/**
 * Moves a case by one event and says what its owner must now do, in order.
 *
 * An answer is invalid where three operators' validators say so and at least two more than say otherwise; valid at the
 * first good word where nobody objects, else where at least two say so and more than object; undecided after five
 * words. Where no third operator is to be had, two who agree without objection make it invalid, and it weighs half. So
 * nothing is ever counted against anybody on one operator's word, and two that collude cannot have an honest node
 * fail while three others are there. An event that the state does not know, or an operator's second word, changes
 * nothing and comes back as `ignored`.
 */
export function stepCase(auditCase: AuditCase, event: AuditEvent, nowMs: number): AuditStep {
  if (event.type === "appealed") return begin(auditCase);
  if (event.type === "noValidator") return goWithout(auditCase);
  const { validator, verdict } = event;
  if (asked(auditCase).some(({ operator }) => operator === validator.operator)) return ignored(auditCase, event);
  const opinion: Opinion = { validator, verdict, atMs: nowMs };
  switch (auditCase.state) {
    case "open":
    case "seconding":
    case "doubting": {
      const heard = { ...auditCase, opinions: [...auditCase.opinions, opinion] };
      return judge(heard, event.isTrusted);
    }
    case "probing":
    case "confirming_probe":
      return probe({ ...auditCase, probeOpinions: [...auditCase.probeOpinions, opinion] });
    case "appealed":
      return hearAppeal({ ...auditCase, opinions: [...auditCase.opinions, opinion] });
    default:
      return ignored(auditCase, event);
  }
}

/** After one more word on the answer. */
function judge(auditCase: AuditCase, isTrusted: boolean): AuditStep {
  const { state, opinions, plan } = auditCase;
  const { good, bad } = tallyOf(opinions);
  if (bad === 0) {
    const isEnough = state === "seconding" || (isTrusted && !plan.wantsSecond);
    if (isEnough) return settle(move(auditCase, "agreeGood"), "valid");
    return told(move(auditCase, "second"), "valid", (next) => [ask(next, "real")]);
  }
  if (good >= 2 && good > bad) return settle(move(auditCase, "agreeGood"), "valid");
  if (isStillInvalid(opinions)) return settle(move(auditCase, "agreeBad"), "invalid");
  if (opinions.length >= mostOpinions) return settle(move(auditCase, "disagree"), "undecided");
  const next = move(auditCase, "doubt");
  // Two who agree are enough for the caller, who may have another answer at once.
  if (bad === 2 && good === 0) return told(next, "invalid", (after) => [ask(after, "real")]);
  return { auditCase: next, effects: [ask(next, "real")] };
}

/** After nobody could be asked. */
function goWithout(auditCase: AuditCase): AuditStep {
  const { state, opinions } = auditCase;
  const { good, bad } = tallyOf(opinions);
  switch (state) {
    case "open":
      return settle(move(auditCase, "giveUp"), "unchecked");
    case "seconding":
      return settle(move(auditCase, "agreeGood"), "valid");
    case "doubting":
      if (bad >= 2 && good === 0) return settle(move(auditCase, "agreeBad"), "invalid");
      return settle(move(auditCase, "giveUp"), "undecided");
    case "probing":
    case "confirming_probe":
      return { auditCase: move(auditCase, "probed"), effects: [] };
    case "appealed":
      if (opinions.length === auditCase.settledWith) {
        return { auditCase: move(auditCase, "appealUnheard"), effects: [] };
      }
      return uphold(auditCase);
    default:
      return ignored(auditCase, { type: "noValidator" });
  }
}

function settle(auditCase: AuditCase, outcome: Settled): AuditStep {
  const { opinions, plan } = auditCase;
  const side = opinions.filter(({ verdict }) => (verdict.outcome === "implausible") === (outcome === "invalid"));
  const isDecided = outcome === "valid" || outcome === "invalid";
  const confirming = isDecided ? side : [];
  const effects: AuditEffect[] = [
    {
      type: "settle",
      outcome,
      isGross: outcome === "invalid" && confirming.every(({ verdict }) => verdict.isGross),
      meanMargin: meanOf((isDecided ? confirming : opinions).map(({ verdict }) => verdict.meanMargin)),
      positions: opinions[0]?.verdict.positions ?? 0,
      confirmedBy: confirming.map(({ validator }) => validator.operator),
      isShort: outcome === "invalid" && confirming.length < 3,
    },
  ];
  // One word alone was compared with nothing.
  if (isDecided && opinions.length > 1) {
    effects.push({ type: "validations", validations: validationsOf(opinions, outcome) });
  }
  const settled = { ...auditCase, settledWith: opinions.length };
  const isProbed = outcome === "valid" && plan.wantsProbe && tallyOf(opinions).bad === 0;
  const next = isProbed ? move(settled, "probe") : settled;
  return told(next, outcome, (after) => (isProbed ? [...effects, ask(after, "probe")] : effects));
}

/**
 * A copy altered so that it should fail. One who finds it good is wrong if the two asked next both find it bad; if one of
 * them finds it good too, it did not differ enough, and says nothing of anybody.
 */
function probe(auditCase: AuditCase): AuditStep {
  const { state, probeOpinions } = auditCase;
  const isLastGood = probeOpinions.at(-1)?.verdict.outcome === "plausible";
  if (state === "confirming_probe" && isLastGood) return { auditCase: move(auditCase, "probed"), effects: [] };
  if (isLastGood || (state === "confirming_probe" && probeOpinions.length < wordsOnMissedProbe)) {
    const next = move(auditCase, "probeMissed");
    return { auditCase: next, effects: [ask(next, "probe")] };
  }
  const validations = validationsOf(probeOpinions, "invalid").map((each) => ({ ...each, isProbe: true }));
  return { auditCase: move(auditCase, "probed"), effects: [{ type: "validations", validations }] };
}

function begin(auditCase: AuditCase): AuditStep {
  if (auditCase.state !== "invalid") return ignored(auditCase, { type: "appealed" });
  const next = move(auditCase, "appeal");
  return { auditCase: next, effects: [ask(next, "real")] };
}

/** One more bad word upholds; good words overturn once the answer would not be found invalid any more. */
function hearAppeal(auditCase: AuditCase): AuditStep {
  const { opinions, settledWith } = auditCase;
  if (opinions.at(-1)?.verdict.outcome === "implausible") return uphold(auditCase);
  if (isStillInvalid(opinions)) {
    const next = move(auditCase, "doubt");
    return { auditCase: next, effects: [ask(next, "real")] };
  }
  const counted = validationsOf(opinions.slice(0, settledWith), "invalid");
  return {
    auditCase: move(auditCase, "overturn"),
    effects: [
      { type: "settleAppeal", outcome: "overturned" },
      { type: "takeBack", validations: counted },
    ],
  };
}

function uphold(auditCase: AuditCase): AuditStep {
  const { opinions, settledWith } = auditCase;
  return {
    auditCase: move(auditCase, "uphold"),
    effects: [
      { type: "settleAppeal", outcome: "upheld" },
      { type: "validations", validations: validationsOf(opinions.slice(settledWith), "invalid") },
    ],
  };
}

/** With what the caller is told first, where it was not told before. */
function told(auditCase: AuditCase, verdict: Told, then: (auditCase: AuditCase) => readonly AuditEffect[]): AuditStep {
  if (auditCase.told !== null) return { auditCase, effects: then(auditCase) };
  const next = { ...auditCase, told: verdict };
  return { auditCase: next, effects: [{ type: "tell", verdict }, ...then(next)] };
}

function ask(auditCase: AuditCase, kind: "real" | "probe"): AuditEffect {
  const parties = asked(auditCase);
  return {
    type: "askValidator",
    kind,
    excludeNodes: [...new Set(parties.map(({ nodeId }) => nodeId))],
    excludeOperators: [...new Set(parties.map(({ operator }) => operator))],
  };
}

/** All who have a part in the case: no operator has two. */
function asked({ makers, opinions, probeOpinions }: AuditCase): Party[] {
  return [...makers, ...[...opinions, ...probeOpinions].map(({ validator }) => validator)];
}

/** Throws where the table has no such move: that is a bug of this file. */
function move(auditCase: AuditCase, by: AuditMove): AuditCase {
  const state = nextState<AuditState, AuditMove>(auditMoves, auditCase.state, by);
  if (state === undefined) throw new Error(`a case that is ${auditCase.state} has no move ${by}`);
  return { ...auditCase, state };
}

function ignored(auditCase: AuditCase, { type }: { type: AuditEvent["type"] }): AuditStep {
  return { auditCase, effects: [], ignored: type };
}
