import { Command, InvalidArgumentError } from "commander";
import { z } from "zod";
import { bugs } from "./bugs.ts";
import { printCostTable } from "./cost-table.ts";
import { faultShares } from "./faults.ts";
import { failure, summary } from "./report.ts";
import { type RunOptions, runSimulation } from "./run-simulation.ts";
import { shrink } from "./shrink.ts";
import { Tally } from "./tally.ts";

const faultKinds = faultShares.map(([kind]) => kind);

const flags = z.strictObject({
  seed: z.int().nonnegative(),
  seeds: z.int().positive(),
  nodes: z.int().positive().max(20_000),
  hours: z.number().positive().max(24),
  tasks: z.int().nonnegative().max(2_000_000),
  faults: z.int().nonnegative().max(200_000),
  strict: z.boolean(),
  only: z.array(z.enum(faultKinds)).optional(),
  keepFaults: z.array(z.int().nonnegative()).optional(),
  bug: z.array(z.enum(bugs)).optional(),
  table: z.boolean(),
  shrink: z.boolean(),
});

/** Lines of what happened that are searched for what has to do with a fault. */
const keptNotes = 500_000;

const number = (text: string): number => {
  const value = Number(text);
  if (Number.isFinite(value)) return value;
  throw new InvalidArgumentError("is not a number");
};
const words = (text: string): string[] => text.split(",");
const numbers = (text: string): number[] => (text === "none" ? [] : words(text).map(number));

const command = new Command("simulate")
  .description("Runs the network's pure core with virtual time, network and nodes; faults and checkers from a seed.")
  .option("--seed <n>", "the first seed", number, 1)
  .option("--seeds <n>", "how many seeds to run, one after another", number, 1)
  .option("--nodes <n>", "nodes of the network", number, 10_000)
  .option("--hours <n>", "how long requests keep coming, in virtual hours", number, 2)
  .option("--tasks <n>", "requests in all", number, 200_000)
  .option("--faults <n>", "faults in all", number, 20_000)
  .option("--strict", "write and parse every frame as on a real socket", false)
  .option("--only <kinds>", `only faults of these kinds: ${faultKinds.join(", ")}`, words)
  .option("--keep-faults <numbers>", "of the faults that the seed draws, only these", numbers)
  .option("--bug <names>", `mistakes to slip in: ${bugs.join(", ")}`, words)
  .option("--table", "print what a request costs at 10, 100, 1,000 and 10,000 nodes, and nothing else", false)
  .option("--no-shrink", "do not look for a smaller run that breaks in the same way")
  .parse();
const parsed = flags.safeParse(command.opts());
if (!parsed.success) command.error(z.prettifyError(parsed.error));
else if (parsed.data.table) printCostTable((line) => console.log(line));
else process.exit(simulate(parsed.data));

/** Runs the seeds. Returns the exit code: 1 where one broke, after which no further one runs. */
function simulate(options: z.output<typeof flags>): number {
  const total = new Tally();
  const firstTokensMs: number[] = [];
  const startedAtMs = performance.now();
  let steps = 0;
  for (let seed = options.seed; seed < options.seed + options.seeds; seed += 1) {
    const run: RunOptions = {
      seed,
      nodes: options.nodes,
      tasks: options.tasks,
      faults: options.faults,
      spanMs: Math.round(options.hours * 3_600_000),
      isStrict: options.strict,
      ...(options.only === undefined ? {} : { only: options.only }),
      ...(options.keepFaults === undefined ? {} : { keepFaults: options.keepFaults }),
      ...(options.bug === undefined ? {} : { bugs: options.bug }),
    };
    const report = runSimulation(run);
    total.merge(report.tally);
    steps += report.steps;
    for (const firstTokenMs of report.firstTokensMs) firstTokensMs.push(firstTokenMs);
    if (report.violation !== undefined) {
      const smallest = options.shrink && run.nodes <= 1_000 ? shrink(report) : report;
      // Once more, with a record of what happened: keeping one at each run would cost more than running twice.
      console.error(failure(runSimulation({ ...smallest.options, notes: keptNotes })));
      return 1;
    }
    if (options.seeds > 1 && (seed - options.seed + 1) % 50 === 0) {
      console.log(`${seed - options.seed + 1} seeds, nothing broke, ${seconds(startedAtMs)} s`);
    }
  }
  firstTokensMs.sort((left, right) => left - right);
  console.log(summary(total, { firstTokensMs }));
  const name = options.seeds === 1 ? `seed ${options.seed}` : `${options.seeds} seeds from ${options.seed}`;
  console.log(`\n${name}: no checker failed; ${steps} events in ${seconds(startedAtMs)} s of real time`);
  return 0;
}

function seconds(sinceMs: number): string {
  return ((performance.now() - sinceMs) / 1_000).toFixed(1);
}
