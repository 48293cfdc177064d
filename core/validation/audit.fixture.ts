import { accountIdSchema, nodeIdSchema } from "../ids.ts";
import type { AuditEffect, AuditEvent, AuditStep, Party } from "./audit-case.ts";
import { type AuditPlan, openCase, stepCase } from "./audit-case.ts";
import type { CheckVerdict } from "./judge-check.ts";

export const plainPlan: AuditPlan = { wantsSecond: false, wantsProbe: false };

/** Node `name` of an operator of its own, or of `operator`. */
export function party(name: string, operator = name): Party {
  return { nodeId: nodeIdSchema.parse(`node_${name}xxxx`), operator: accountIdSchema.parse(`op${operator}xx`) };
}

export const maker = party("maker");

export const plausible: CheckVerdict = {
  outcome: "plausible",
  isGross: false,
  meanMargin: 0.005,
  endMargin: 0,
  worstRank: 1,
  positions: 16,
  reasons: [],
};
export const implausible: CheckVerdict = {
  ...plausible,
  outcome: "implausible",
  meanMargin: 0.2,
  worstRank: 9,
  reasons: ["margin"],
};
export const gross: CheckVerdict = { ...implausible, isGross: true, meanMargin: 0.5 };

/**
 * Events in short: `good a`, `bad b`, `gross c` are words of the validators a, b, c; `new good a` of one not yet trusted;
 * `none` and `appeal` as they say.
 */
export function eventOf(word: string): AuditEvent {
  if (word === "none") return { type: "noValidator" };
  if (word === "appeal") return { type: "appealed" };
  const isTrusted = !word.startsWith("new ");
  const [said = "", who = ""] = word.replace("new ", "").split(" ");
  const verdict = { good: plausible, bad: implausible, gross }[said];
  if (verdict === undefined) throw new Error(`nobody says ${said}`);
  return { type: "checked", validator: party(who), verdict, isTrusted };
}

/** A case after these events, and all that it asked for. */
export function play(words: readonly string[], plan: AuditPlan = plainPlan): AuditStep {
  return words.reduce<AuditStep>(
    (step, word) => {
      const next = stepCase(step.auditCase, eventOf(word), 1_000);
      return { ...next, effects: [...step.effects, ...next.effects] };
    },
    openCase({ makers: [maker], plan }, 0),
  );
}

/** Effects in short: what was told, settled, and who was found right (+) or wrong (-), `back` where it is taken back. */
export function brief(effects: readonly AuditEffect[]): string {
  const marks = (list: Extract<AuditEffect, { type: "validations" }>["validations"]) =>
    list.map(({ validator, wasRight }) => `${wasRight ? "+" : "-"}${validator.nodeId.slice(5, -4)}`).join("");
  return effects
    .map((effect) => {
      switch (effect.type) {
        case "askValidator":
          return effect.kind === "probe" ? "probe" : "ask";
        case "tell":
          return `tell:${effect.verdict}`;
        case "settle":
          return `settle:${effect.outcome}${effect.isGross ? "!" : ""}${effect.isShort ? "?" : ""}`;
        case "settleAppeal":
          return effect.outcome;
        case "validations":
          return marks(effect.validations);
        default:
          return `back${marks(effect.validations)}`;
      }
    })
    .join(" ");
}
