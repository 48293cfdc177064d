import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { describeMachine } from "./machine.ts";
import { type AdversaryName, adversaryNames } from "./trust/adversaries.ts";
import { answerKey, answerRowSchema } from "./trust/answer-row.ts";
import { Crew } from "./trust/crew.ts";
import type { Job, Report } from "./trust/job.ts";
import { addKept, keepRows } from "./trust/kept-rows.ts";
import { makeModels, type TrustModels } from "./trust/make-models.ts";
import { keyOfPlanned, planAnswers, planChecks, planTrials } from "./trust/plan.ts";
import { RowFile } from "./trust/row-file.ts";
import { trialKey, trialRowSchema } from "./trust/trial-row.ts";
import { intoPage, renderMeasured } from "./trust/trust-page.ts";

const usage = `npm run bench:trust -- [options]

Measures with real models which cheats a check tells from an honest node, and writes the table of docs/TRUST.md. It goes
on where an earlier run was stopped: every answer and every check is a row that is kept, the checks beside the page too.
  --minutes N     stop after so long, and write the table of what there is (default: until all is measured)
  --workers N     processes at once, one thread each (default 2)
  --out DIR       where rows are kept (default bench/results/trust)
  --table         measure nothing, write the table of what there is
  --share X       of all planned trials (default 1)
  --only NAME     those of this adversary alone, as bench/trust/adversaries.ts calls it; may be given again
  --help          this text`;

/** Parts of all trials that are done one after another, so that a run that is stopped has some of each. */
const shares = [0.01, 0.04, 0.1, 0.25, 0.5, 0.75, 1] as const;
const page = join(import.meta.dirname, "../docs/TRUST.md");
/** The rows that the page's tables were made of. */
const keptTrials = join(import.meta.dirname, "../docs/trust-trials.jsonl.gz");

const flags = readFlags();
const answers = new RowFile(join(flags.out, "answers.jsonl"), { schema: answerRowSchema, keyOf: answerKey });
const trialRows = { schema: trialRowSchema, keyOf: trialKey };
const trials = new RowFile(join(flags.out, "trials.jsonl"), trialRows);
addKept(trials, keptTrials, trialRows);

if (!flags.table) {
  const models = await makeModels({ out: (line) => console.log(line) });
  writeFileSync(join(flags.out, "models.json"), `${JSON.stringify(models, null, 2)}\n`);
  await measure(models);
}
const measured = renderMeasured(trials.rows, {
  machine: describeMachine(),
  measuredOn: new Date().toISOString().slice(0, 10),
});
console.log(measured);
if (existsSync(page)) {
  writeFileSync(page, intoPage(readFileSync(page, "utf8"), measured));
  keepRows(trials.rows, keptTrials);
  console.log(`${page} is written.`);
}

async function measure(models: TrustModels): Promise<void> {
  const endMs = performance.now() + flags.minutes * 60_000;
  const isOver = () => performance.now() >= endMs;
  const crew = new Crew({ size: flags.workers });
  for (const share of shares) {
    if (isOver()) return;
    const planned = planTrials(share * flags.share).filter(
      (trial) => isWanted(trial.adversary) && !trials.has(keyOfPlanned(trial)),
    );
    await step("answers", planAnswers(planned, answers, models));
    await step("checks", planChecks(planned, { answers, done: trials, models }));
  }

  async function step(what: string, jobs: readonly Job[]): Promise<void> {
    if (jobs.length === 0) return;
    console.log(`${new Date().toISOString().slice(11, 19)}  ${jobs.length} jobs of ${what}`);
    await crew.run(jobs, { onReport: keep, isOver });
  }
}

function isWanted(adversary: AdversaryName): boolean {
  return flags.only.length === 0 || flags.only.includes(adversary);
}

function keep(report: Report): void {
  if (report.kind === "answer") answers.add(report.row);
  if (report.kind === "trial") trials.add(report.row);
}

function readFlags() {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "100000" },
      workers: { type: "string", default: "2" },
      out: { type: "string", default: join(import.meta.dirname, "results/trust") },
      table: { type: "boolean", default: false },
      share: { type: "string", default: "1" },
      only: { type: "string", multiple: true, default: [] },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    process.exit(0);
  }
  return z
    .object({
      minutes: z.coerce.number().positive(),
      workers: z.coerce.number().int().min(1).max(16),
      out: z.string(),
      table: z.boolean(),
      share: z.coerce.number().positive().max(1),
      only: z.array(z.enum(adversaryNames)),
    })
    .parse(values);
}
