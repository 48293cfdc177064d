import { Dice } from "../dice.ts";
import { AuditWorld, operatorOf, type SimulatedParty, usualRates } from "./audit-world.ts";
import { type Character, honest } from "./character.ts";
import { checkAudits } from "./check-audits.ts";

const honestOperators = 10;
const nodesOfOperator = 2;

const cheat = (name: string, share: number, when: "always" | "unwatched" = "always"): Character => ({
  name,
  cheats: { share, when },
  checks: { type: "honest" },
});

/** Each with an operator of its own. */
const villains: readonly Character[] = [
  cheat("cheats always", 1),
  cheat("cheats in 1 of 5", 0.2),
  cheat("cheats in 1 of 20", 0.05),
  { ...honest, name: "lazy validator", checks: { type: "lazy" } },
  { ...honest, name: "lying validator", checks: { type: "liar" } },
];

/** A network of honest operators with all villains among them; two operators that collude have two nodes each. */
export function mixedWorld(seed: number): AuditWorld {
  const world = new AuditWorld(new Dice(seed), { rates: usualRates, taskEveryMs: 8_640 });
  for (let operator = 0; operator < honestOperators; operator += 1) {
    for (let node = 0; node < nodesOfOperator; node += 1) world.add(honest, { operator: `h${operator}` });
  }
  for (const [index, villain] of villains.entries()) world.add(villain, { operator: `v${index}` });
  world.add(cheat("cheats always once trusted", 1), { operator: "sleeper", isTrusted: true });
  world.add(cheat("cheats in 1 of 5 while unwatched", 0.2, "unwatched"), { operator: "fox", isTrusted: true });
  for (const [own, partner] of [
    ["x", "y"],
    ["y", "x"],
  ] as const) {
    const checks = { type: "colluder", partner: operatorOf(partner), victim: operatorOf("h0") } as const;
    const colluder: Character = { name: "colluding pair", cheats: { share: 0.1, when: "always" }, checks };
    for (let node = 0; node < nodesOfOperator; node += 1) world.add(colluder, { operator: own });
  }
  return world;
}

/** Runs so many tasks with all checkers after each. Throws the first violation. */
export function runAudits({ seed, tasks }: { seed: number; tasks: number }): AuditWorld {
  const world = mixedWorld(seed);
  for (let task = 0; task < tasks; task += 1) {
    const story = world.step();
    // Only what a case touched can have changed.
    if (story !== undefined && story.steps.length > 0) checkAudits(world, story);
  }
  return world;
}

/** When a villain was found: as a node by its answers, or as a validator by its words; `null` where it was not. */
export function foundAtTask({ suspendedAtTask, silencedAtTask }: SimulatedParty): number | null {
  return suspendedAtTask ?? silencedAtTask;
}
