import { Dice } from "../dice.ts";
import { AuditWorld, operatorOf, type SimulatedParty, usualRates } from "./audit-world.ts";
import { type Character, honest } from "./character.ts";
import { checkAudits } from "./check-audits.ts";

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
export function mixedWorld(seed: number, honestOperators: number): AuditWorld {
  const world = new AuditWorld(new Dice(seed), { rates: usualRates, taskEveryMs: 8_640 });
  addHonest(world, honestOperators);
  for (const [index, villain] of villains.entries()) world.add(villain, { operator: `v${index}` });
  world.add(cheat("cheats always once trusted", 1), { operator: "sleeper", isTrusted: true });
  world.add(cheat("cheats in 1 of 5 while unwatched", 0.2, "unwatched"), { operator: "fox", isTrusted: true });
  addPair(world, 0.1);
  return world;
}

/** Honest operators, two nodes each, and a pair that does not cheat and finds one of them bad. */
export function pairWorld(seed: number, honestOperators: number): AuditWorld {
  const world = new AuditWorld(new Dice(seed), { rates: usualRates, taskEveryMs: 8_640 });
  addHonest(world, honestOperators);
  addPair(world, 0);
  return world;
}

function addHonest(world: AuditWorld, operators: number): void {
  for (let operator = 0; operator < operators; operator += 1) {
    for (let node = 0; node < nodesOfOperator; node += 1) world.add(honest, { operator: `h${operator}` });
  }
}

function addPair(world: AuditWorld, share: number): void {
  for (const [own, partner] of [
    ["x", "y"],
    ["y", "x"],
  ] as const) {
    const checks = { type: "colluder", partner: operatorOf(partner), victim: operatorOf("h0") } as const;
    const cheats = share === 0 ? null : ({ share, when: "always" } as const);
    for (let node = 0; node < nodesOfOperator; node += 1) {
      world.add({ name: "colluding pair", cheats, checks }, { operator: own });
    }
  }
}

export interface RunOptions {
  seed: number;
  tasks: number;
  /** Of honest nodes, two each; 10 where it is left out. */
  honestOperators?: number;
}

/** Runs so many tasks with all checkers after each. Throws the first violation. */
export function runAudits({ seed, tasks, honestOperators = 10 }: RunOptions): AuditWorld {
  return runWorld(mixedWorld(seed, honestOperators), tasks);
}

/** The same of a given network. */
export function runWorld(world: AuditWorld, tasks: number): AuditWorld {
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
