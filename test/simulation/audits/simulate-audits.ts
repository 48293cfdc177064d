import { Command, InvalidArgumentError } from "commander";
import { z } from "zod";
import { delayCases, delayHeads, delayRow, quantile } from "./detection-delay.ts";
import { foundAtTask, runAudits } from "./run-audits.ts";

const flags = z.strictObject({
  seed: z.int().nonnegative(),
  seeds: z.int().positive().max(10_000),
  tasks: z.int().positive().max(1_000_000),
  runs: z.int().nonnegative().max(100_000),
});

const number = (text: string): number => {
  const value = Number(text);
  if (Number.isFinite(value)) return value;
  throw new InvalidArgumentError("is not a number");
};

const command = new Command("simulate:audits")
  .description(
    "Runs audits, validators and reputations over simulated nodes, honest and not, with checkers after each step.",
  )
  .option("--seed <n>", "the first seed", number, 1)
  .option("--seeds <n>", "mixed networks to run, one after another", number, 20)
  .option("--tasks <n>", "tasks of each", number, 10_000)
  .option("--runs <n>", "lives of each kind of node in the table of delays; 0 leaves it out", number, 1_000)
  .parse();
const parsed = flags.safeParse(command.opts());
if (!parsed.success) command.error(z.prettifyError(parsed.error));
else simulate(parsed.data);

/** Prints how soon each villain was found. A violation is thrown: its message has the case. */
function simulate({ seed, seeds, tasks, runs }: z.output<typeof flags>): void {
  const found = new Map<string, { of: number; tasks: number[]; own: number[] }>();
  let checks = 0;
  for (let each = seed; each < seed + seeds; each += 1) {
    const world = runAudits({ seed: each, tasks });
    checks += world.checks;
    for (const party of world.parties) {
      const row = found.get(party.character.name) ?? { of: 0, tasks: [], own: [] };
      found.set(party.character.name, row);
      row.of += 1;
      const atTask = foundAtTask(party);
      if (atTask === null) continue;
      row.tasks.push(atTask);
      row.own.push(party.suspendedAtTask === null ? party.words : party.tasks);
    }
  }
  console.log(`${seeds} mixed networks from seed ${seed}, ${tasks} tasks each: no checker failed;`);
  console.log(`${(checks / seeds / tasks).toFixed(2)} checks a task (nearly all nodes are new)\n`);
  console.log("who | found | own answers or words, median | 95 % | network's tasks, median | 95 %");
  for (const [name, { of, tasks: at, own }] of found) {
    const [ownSorted, atSorted] = [own, at].map((list) => list.toSorted((one, other) => one - other));
    const cells = [ownSorted, atSorted].flatMap((list = []) => [quantile(list, 0.5), quantile(list, 0.95)]);
    console.log([name, `${at.length}/${of}`, ...cells.map((cell) => cell ?? "–")].join(" | "));
  }
  if (runs === 0) return;
  console.log(
    `\nSuspended after so many answers (${runs} lives of each kind, 95 % intervals by Wilson):\n\n${delayHeads}`,
  );
  for (const delayCase of delayCases) console.log(delayRow(delayCase, { seed, runs }));
}
