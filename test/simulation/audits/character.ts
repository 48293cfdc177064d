import type { AccountId } from "../../../core/ids.ts";
import type { CheckReport, Finding } from "../../../core/wire/node-frame.ts";
import type { Dice } from "../dice.ts";

/** How a node answers. `share` of its answers are not the model's. */
export interface CheatHabit {
  share: number;
  /**
   * `unwatched`: only while it guesses, rightly, that fewer than 5 % of its answers are checked.
   */
  when: "always" | "unwatched";
}

/** How a node checks: as it should, or without reading (lazy: always good; liar: always bad). */
export type CheckHabit =
  | { type: "honest" | "lazy" | "liar" }
  /** Lets its partner's answers pass, finds the victim's bad, is honest otherwise so as not to be found out. */
  | { type: "colluder"; partner: AccountId; victim: AccountId };

export interface Character {
  /** What it is called in reports. */
  name: string;
  cheats: CheatHabit | null;
  checks: CheckHabit;
}

export const honest: Character = { name: "honest", cheats: null, checks: { type: "honest" } };

/** What is true of one answer: all who read it with the model see about the same. */
export type Truth = "fine" | "odd" | "cheat";

/** An answer that is to be checked, as it is or as a copy altered to test the validator. */
export interface Exhibit {
  /** The maker's operator: colluders know their own by other ways than the wire. */
  maker: AccountId;
  isProbe: boolean;
  findings: readonly Finding[];
}

/**
 * How likely a looked-at token differs from the checker's choice, and by how much then, on average, in logits. Honest and
 * cheating as measured for SmolLM2-135M (Q4_1 against itself: mean 0.005, 6 % differ; Q4_0: mean 0.3, 30 % differ); odd
 * are the few honest answers whose margins lie about the threshold.
 */
const looks: Readonly<Record<Truth, { differ: number; by: number }>> = {
  fine: { differ: 0.06, by: 0.09 },
  odd: { differ: 0.35, by: 0.16 },
  cheat: { differ: 0.3, by: 1.1 },
};

/** What the model itself says of such an answer. */
export function findingsOf(truth: Truth, positions: readonly number[], dice: Dice): Finding[] {
  const { differ, by } = looks[truth];
  return positions.map((position) => {
    const margin = dice.isChance(differ) ? Math.min(5, dice.exponential(by)) : 0;
    return { position, margin, rank: margin === 0 ? 0 : 1 + Math.floor(margin * 3) };
  });
}

/** What a validator of this character reports: an honest one what the model says, to within its own rounding. */
export function reportOf(checks: CheckHabit, { maker, isProbe, findings }: Exhibit, dice: Dice): CheckReport {
  const read = () => findings.map((each) => ({ ...each, margin: rounded(each.margin, dice) }));
  const positions = findings.map(({ position }) => position);
  const said = (): Finding[] => {
    switch (checks.type) {
      case "honest":
        return read();
      case "lazy":
        return findingsOf("fine", positions, dice);
      case "liar":
        return findingsOf("cheat", positions, dice);
      case "colluder":
        if (isProbe) return read();
        if (maker === checks.partner) return findingsOf("fine", positions, dice);
        return maker === checks.victim ? findingsOf("cheat", positions, dice) : read();
    }
  };
  return { findings: said(), isTextOfTokens: true, isEndRight: true };
}

/** A fifth more or less, and a token now and then that is the choice here and just not there. */
function rounded(margin: number, dice: Dice): number {
  if (margin === 0) return dice.isChance(0.02) ? dice.exponential(0.03) : 0;
  return Math.min(5, margin * (0.8 + 0.4 * dice.random()));
}
