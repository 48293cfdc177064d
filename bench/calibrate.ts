import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { describeHardware } from "../worker-node/engine/hardware.ts";
import { openLlama } from "../worker-node/engine/open-llama.ts";
import { defaultCacheDir } from "../worker-node/models/cache-dir.ts";
import { holdModels } from "../worker-node/models/hold-models.ts";
import type { ResolvedModel } from "../worker-node/models/store.ts";
import { describeMachine } from "./machine.ts";
import { answerKey, answerRowSchema } from "./trust/answer-row.ts";
import { calibrateEmbeddings } from "./trust/calibrate-embeddings.ts";
import { calibrationsPath, withCalibration, writeCalibrations } from "./trust/calibrations-file.ts";
import { allConditions } from "./trust/conditions.ts";
import { Crew } from "./trust/crew.ts";
import { honestThresholds } from "./trust/honest-thresholds.ts";
import type { Job, Report } from "./trust/job.ts";
import { planHonestAnswers, planHonestChecks, planPairs } from "./trust/plan-calibration.ts";
import { RowFile } from "./trust/row-file.ts";
import { trialKey, trialRowSchema } from "./trust/trial-row.ts";

const usage = `npm run calibrate -- --model NAME [options]

Lets honest nodes check honest nodes of a model, under all conditions that change the last bits of what it computes, and
writes the thresholds that come of it into core/validation/calibrations.ts, with where they come from. It goes on where
an earlier run was stopped.
  --model NAME    a model of the catalogue, or a path to a GGUF
  --trials N      honest pairs (default 3,000: about half an hour on two free cores for a model of 135 M)
  --minutes N     stop after so long, and write what there is
  --workers N     processes at once (default 2)
  --out DIR       where rows are kept (default bench/results/calibration/<model's hash>)
  --dry           print, write nothing
  --help          this text`;

/** Parts of all pairs that are done one after another. */
const shares = [0.1, 0.4, 0.7, 1] as const;

const flags = readFlags();
const [model] = await holdModels({
  names: [flags.model],
  cacheDir: defaultCacheDir(),
  out: (line) => console.log(line),
});
if (model === undefined) throw new Error(`there is no model ${flags.model}`);
const machine = describeMachine();
const measuredOn = new Date().toISOString().slice(0, 10);
const found = model.kind === "embedding" ? { embedding: await embeddings(model) } : { chat: await chat(model) };
console.log(JSON.stringify(found, null, 2));
if (!flags.dry) {
  writeCalibrations(calibrationsPath, withCalibration(found));
  execFileSync(join(import.meta.dirname, "../node_modules/.bin/biome"), ["format", "--write", calibrationsPath]);
  console.log(`${calibrationsPath} is written.`);
}

async function chat({ path, fileSha256, name }: ResolvedModel) {
  const out = flags.out ?? join(import.meta.dirname, "results/calibration", fileSha256.slice(0, 16));
  mkdirSync(out, { recursive: true });
  const answers = new RowFile(join(out, "answers.jsonl"), { schema: answerRowSchema, keyOf: answerKey });
  const trials = new RowFile(join(out, "trials.jsonl"), { schema: trialRowSchema, keyOf: trialKey });
  const endMs = performance.now() + flags.minutes * 60_000;
  const isOver = () => performance.now() >= endMs;
  const onReport = (report: Report) => {
    if (report.kind === "answer") answers.add(report.row);
    if (report.kind === "trial") trials.add(report.row);
  };
  const step = async (what: string, jobs: readonly Job[]) => {
    if (jobs.length === 0 || isOver()) return;
    console.log(`${new Date().toISOString().slice(11, 19)}  ${jobs.length} jobs of ${what}`);
    await new Crew({ size: flags.workers }).run(jobs, { onReport, isOver });
  };
  const all = planPairs(flags.trials);
  const oneThread = all.filter(({ maker, checker }) => maker !== "two threads" && checker !== "two threads");
  for (const pairs of [...shares.map((share) => oneThread.slice(0, Math.ceil(share * oneThread.length))), all]) {
    await step("answers", planHonestAnswers(pairs, answers, path));
    await step("checks", planHonestChecks(pairs, { answers, done: trials, modelPath: path }));
  }
  if (trials.rows.length === 0) throw new Error("nothing was measured");
  const backend = await describeBackend();
  const tried = new Set(trials.rows.flatMap(({ maker, checker }) => [maker, checker]));
  const conditions = Object.keys(allConditions)
    .filter((name) => tried.has(name))
    .join(", ");
  return {
    ...{ model: fileSha256, backend, isMeasured: true, measuredOn },
    ...honestThresholds(trials.rows),
    provenance:
      `${name}: honest answers of up to 64 or 32 tokens at temperatures 0, 0.7 (top-p 0.9) and 1, each made under one set of ` +
      `conditions and checked under another (${conditions}), prompts of the calibration set. ${machine.cpu}, ` +
      `${machine.cores} cores. Thresholds: 1.5 times what one honest mean in 200 exceeds. No GPU was measured.`,
  };
}

async function embeddings({ path, fileSha256, name }: ResolvedModel) {
  const { trials, honestMinimum, ...bounds } = await calibrateEmbeddings({
    modelPath: path,
    texts: Math.min(flags.trials, 2_000),
  });
  return {
    ...{ model: fileSha256, backend: await describeBackend(), isMeasured: true, trials, measuredOn, honestMinimum },
    ...bounds,
    provenance:
      `${name}: the same texts embedded with one thread and with two, in batches of other sizes. ${machine.cpu}, ` +
      `${machine.cores} cores. No GPU was measured.`,
  };
}

async function describeBackend(): Promise<string> {
  const llama = await openLlama({ gpu: false, threads: 1 });
  const { backend } = await describeHardware(llama);
  await llama.dispose();
  return `llama.cpp ${backend.llamaCpp} (node-llama-cpp ${backend.nodeLlamaCpp}), cpu ${process.arch}`;
}

function readFlags() {
  const { values } = parseArgs({
    options: {
      model: { type: "string" },
      trials: { type: "string", default: "3000" },
      minutes: { type: "string", default: "100000" },
      workers: { type: "string", default: "2" },
      out: { type: "string" },
      dry: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help || values.model === undefined) {
    console.log(usage);
    process.exit(values.help ? 0 : 2);
  }
  return z
    .object({
      model: z.string(),
      trials: z.coerce.number().int().positive(),
      minutes: z.coerce.number().positive(),
      workers: z.coerce.number().int().min(1).max(16),
      out: z
        .string()
        .transform((path) => resolve(path))
        .optional(),
      dry: z.boolean(),
    })
    .parse(values);
}
