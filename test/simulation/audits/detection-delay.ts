import { Dice } from "../dice.ts";
import { AuditWorld, usualRates, type WorldRates } from "./audit-world.ts";
import { type Character, honest } from "./character.ts";
import { checkAudits } from "./check-audits.ts";

/** A node among ten honest operators, of which the only question is when it is suspended. */
export interface DelayCase {
  character: Character;
  isTrusted: boolean;
  /** After so many answers it is not waited for any longer. */
  mostTasks: number;
}

export interface Delay {
  /** Answers it gave until it was suspended; `null` where it was not. */
  tasks: number | null;
  given: number;
  /** Answers that were not the model's, and readings by validators. */
  cheated: number;
  checks: number;
}

/** No suspicions: they have more answers checked, which would flatter the delay. */
const rates: WorldRates = { ...usualRates, suspicious: 0 };
const validatorOperators = 10;

/** One node's life from its first answer in this world to its suspension, a thousand answers a day. */
export function measureDelay({ character, isTrusted, mostTasks }: DelayCase, seed: number): Delay {
  const world = new AuditWorld(new Dice(seed), { rates, taskEveryMs: 86_400 });
  for (let operator = 0; operator < validatorOperators; operator += 1) {
    world.add(honest, { operator: `h${operator}`, isTrusted: true });
  }
  const suspect = world.add(character, { operator: "suspect", isTrusted });
  let cheated = 0;
  while (suspect.reputation.suspendedAtMs === null && world.tasks < mostTasks) {
    const story = world.step(suspect);
    if (story === undefined) break;
    if (story.truth === "cheat") cheated += 1;
    if (story.steps.length > 0) checkAudits(world, story);
  }
  const isFound = suspect.reputation.suspendedAtMs !== null;
  return { tasks: isFound ? suspect.tasks : null, given: suspect.tasks, cheated, checks: world.checks };
}

/** The 95 % interval of a share by Wilson (1927), from 0 to 1. */
export function wilson(found: number, trials: number): { low: number; high: number } {
  const z = 1.96;
  const share = found / trials;
  const middle = share + (z * z) / (2 * trials);
  const half = z * Math.sqrt((share * (1 - share)) / trials + (z * z) / (4 * trials * trials));
  const whole = 1 + (z * z) / trials;
  return { low: Math.max(0, (middle - half) / whole), high: Math.min(1, (middle + half) / whole) };
}

/** The smallest of `sorted` that so large a share of them does not exceed; `undefined` of none. */
export function quantile(sorted: readonly number[], share: number): number | undefined {
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))];
}

const cheats = (share: number, when: "always" | "unwatched" = "always"): Character => ({
  name: "cheat",
  cheats: { share, when },
  checks: { type: "honest" },
});

/** The rows of the table, as docs/TRUST.md has them. */
export const delayCases: readonly (DelayCase & { name: string })[] = [
  { name: "new, cheats always", character: cheats(1), isTrusted: false, mostTasks: 2_000 },
  { name: "new, cheats in 1 of 5", character: cheats(0.2), isTrusted: false, mostTasks: 5_000 },
  { name: "new, cheats in 1 of 20", character: cheats(0.05), isTrusted: false, mostTasks: 20_000 },
  { name: "trusted, cheats always", character: cheats(1), isTrusted: true, mostTasks: 20_000 },
  { name: "trusted, cheats in 1 of 5", character: cheats(0.2), isTrusted: true, mostTasks: 50_000 },
  { name: "trusted, cheats in 1 of 20", character: cheats(0.05), isTrusted: true, mostTasks: 100_000 },
  {
    name: "trusted, in 1 of 5 while unwatched",
    character: cheats(0.2, "unwatched"),
    isTrusted: true,
    mostTasks: 50_000,
  },
  { name: "new, honest", character: honest, isTrusted: false, mostTasks: 10_000 },
];

/** One row of the table: of so many lives, how soon they were found. */
export function delayRow(
  delayCase: DelayCase & { name: string },
  { seed, runs }: { seed: number; runs: number },
): string {
  const delays = Array.from({ length: runs }, (_, run) => measureDelay(delayCase, seed + run));
  const found = delays.flatMap(({ tasks }) => (tasks === null ? [] : [tasks])).toSorted((one, other) => one - other);
  const within = [5, 20, 100].map((tasks) => percent(found.filter((each) => each <= tasks).length, runs));
  const sum = (of: "given" | "cheated" | "checks") => delays.reduce((total, delay) => total + delay[of], 0);
  const [median, most] = [quantile(found, 0.5), quantile(found, 0.95)];
  return [
    delayCase.name,
    `${found.length}/${runs}`,
    ...within,
    found.length * 2 > runs ? median : "–",
    found.length >= runs * 0.95 ? most : "–",
    (sum("cheated") / runs).toFixed(1),
    `${((100 * sum("cheated")) / sum("given")).toFixed(2)} %`,
    (sum("checks") / sum("given")).toFixed(3),
  ].join(" | ");
}

/** The heads of {@link delayRow}'s columns. */
export const delayHeads = [
  "node",
  "found",
  "within 5 answers",
  "within 20",
  "within 100",
  "median",
  "95 %",
  "bad answers",
  "of all",
  "checks an answer",
].join(" | ");

function percent(found: number, runs: number): string {
  const { low, high } = wilson(found, runs);
  return `${((100 * found) / runs).toFixed(1)} % (${(100 * low).toFixed(1)}–${(100 * high).toFixed(1)})`;
}
