import type { Moves } from "../task/attempt-moves.ts";

/** Every state of an audit case. */
export const auditStates = [
  "open",
  "seconding",
  "doubting",
  "valid",
  "probing",
  "confirming_probe",
  "invalid",
  "appealed",
  "upheld",
  "overturned",
  "undecided",
  "unchecked",
] as const;
export type AuditState = (typeof auditStates)[number];

/** What a verdict, or the lack of one, comes to (`audit-case.ts` works it out from all verdicts there are). */
export type AuditMove =
  | "second"
  | "doubt"
  | "agreeGood"
  | "agreeBad"
  | "disagree"
  | "giveUp"
  | "probe"
  | "probeMissed"
  | "probed"
  | "appeal"
  | "uphold"
  | "overturn"
  | "appealUnheard";

/**
 * Every legal move of a case. `doubting` lasts from the first bad word until enough validators agree; `probing` is of a
 * case that is settled as valid and serves to test a validator by an altered copy.
 */
export const auditMoves = {
  open: { second: "seconding", doubt: "doubting", agreeGood: "valid", giveUp: "unchecked" },
  seconding: { doubt: "doubting", agreeGood: "valid" },
  doubting: {
    doubt: "doubting",
    agreeGood: "valid",
    agreeBad: "invalid",
    disagree: "undecided",
    giveUp: "undecided",
  },
  valid: { probe: "probing" },
  probing: { probed: "valid", probeMissed: "confirming_probe" },
  confirming_probe: { probeMissed: "confirming_probe", probed: "valid" },
  invalid: { appeal: "appealed" },
  appealed: { doubt: "appealed", uphold: "upheld", overturn: "overturned", appealUnheard: "invalid" },
  upheld: {},
  overturned: {},
  undecided: {},
  unchecked: {},
} as const satisfies Moves<AuditState, AuditMove>;
