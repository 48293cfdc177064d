import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { calibrationOf } from "../core/validation/calibration.ts";
import { drawPositions } from "../core/validation/draw-positions.ts";
import { type CheckVerdict, judgeCheck } from "../core/validation/judge-check.ts";
import type { CheckInput } from "../core/wire/task-input.ts";
import type { Engine } from "../worker-node/engine/engine.ts";
import { loadLlamaEngine } from "../worker-node/engine/llama-engine.ts";
import { openLlama } from "../worker-node/engine/open-llama.ts";
import { loadUpstreamEngines } from "../worker-node/load-upstream-engines.ts";
import { defaultCacheDir } from "../worker-node/models/cache-dir.ts";
import { holdModels } from "../worker-node/models/hold-models.ts";
import { describeMachine, ForeignLoad } from "./machine.ts";
import { median } from "./quantiles.ts";
import { type ReportLine, tableOf, writeResults } from "./report.ts";
import { type Ask, answerTokens, inputOf, type SamplingName } from "./trust/ask.ts";
import { promptsOf, seedOf } from "./trust/prompts.ts";
import { seededRandom } from "./trust/seeded-random.ts";
import { wholeAnswer } from "./trust/whole-answer.ts";

const usage = `npm run bench:upstream -- --upstream URL [options]

Checks between a server that runs already (vLLM) and llama.cpp: how far honest answers of the one are from the other, and
how many of them the thresholds would call implausible. The server must hold the model's own weights.
  --upstream URL  an OpenAI-compatible server, as http://127.0.0.1:8000/v1; may be given again: then each checks the others
  --model NAME    of the catalogue, for llama.cpp (default smollm2-135m-instruct)
  --prompts N     answers of each kind (default 20)
  --help          this text`;

const contextTokens = 512;
const flags = readFlags();
const startedAt = new Date().toISOString();
const load = new ForeignLoad();
const beganAtMs = performance.now();
const folder = mkdtempSync(join(tmpdir(), "cortensor-upstream-"));
const signal = new AbortController().signal;

const [held] = await holdModels({ names: [flags.model], cacheDir: defaultCacheDir(), out: console.log });
if (held === undefined) throw new Error(`there is no ${flags.model}`);
const calibration = calibrationOf(held.fileSha256, "own");
const llama = await openLlama({ gpu: false, threads: 1 });
const engine = { llama, modelPath: held.path, kind: "chat", slots: 1, contextTokens, threads: 1 } as const;
const parties: { name: string; engine: Engine }[] = [{ name: "llama.cpp", engine: await loadLlamaEngine(engine) }];
for (const [place, url] of flags.upstreams.entries()) {
  const { software, models } = await loadUpstreamEngines({
    ...{ url, key: undefined, modelFile: held.path, models: [], slots: 1, contextTokens },
    ...{ cacheDir: join(folder, String(place)), out: console.log },
  });
  const [model] = models;
  if (model !== undefined) parties.push({ name: `${software} at ${url.port}`, engine: model.engine });
}

const lines: ReportLine[] = [];
const figures: { maker: string; checker: string; sampling: SamplingName; verdicts: CheckVerdict[] }[] = [];
for (const maker of parties) {
  for (const sampling of ["T=0", "T=1"] as const) {
    const checks = await answersOf(maker.engine, sampling);
    for (const checker of parties) {
      if (maker.name === "llama.cpp" && checker === maker) continue;
      const verdicts: CheckVerdict[] = [];
      for (const check of checks) verdicts.push(await verdictOn(check, checker.engine));
      figures.push({ maker: maker.name, checker: checker.name, sampling, verdicts });
      lines.push({ what: `${maker.name}, ${sampling}, checked by ${checker.name}`, value: summaryOf(verdicts) });
      console.log(`${lines.at(-1)?.what}: ${lines.at(-1)?.value}`);
    }
  }
}
for (const party of parties) await party.engine.dispose();
await llama.dispose();
rmSync(folder, { recursive: true });
const part = { part: "checks", lines, figures, foreignCores: load.cores(performance.now() - beganAtMs) };
console.log(tableOf(part));
const written = { machine: describeMachine(), startedAt, isQuick: false, parts: [part] };
console.log(`All figures: ${writeResults("upstream", written)}`);

/** A check of each answer, with the prompt's length as its maker counts it. */
async function answersOf(
  maker: Engine,
  sampling: SamplingName,
): Promise<{ check: CheckInput; promptTokens: number }[]> {
  const checks: { check: CheckInput; promptTokens: number }[] = [];
  for (const { id, text } of promptsOf("calibration", flags.prompts)) {
    const ask: Ask = { promptId: id, text, sampling, seed: seedOf(id), maxTokens: answerTokens.long };
    const of = inputOf(ask);
    const { promptTokens, tokenIds, text: said, finishReason } = await wholeAnswer(maker, of);
    const random = seededRandom(seedOf(`positions ${id} ${sampling}`));
    const positions = drawPositions(tokenIds.length, { endsByModel: finishReason === "stop", random });
    checks.push({ check: { kind: "check", of, tokenIds, text: said, finishReason, positions }, promptTokens });
  }
  return checks;
}

/** By the cautious default, which is what a server's own answers are judged by. */
async function verdictOn(
  { check, promptTokens }: { check: CheckInput; promptTokens: number },
  checker: Engine,
): Promise<CheckVerdict> {
  const prepared = await checker.prepareCheck(check);
  if (prepared.kind !== "prepared") throw new Error("an answer does not fit the checker's context");
  const { tokenIds, positions } = check;
  const claims = {
    ...{ promptTokens, checkedPromptTokens: prepared.promptTokens, isCommitmentGood: true },
    ...{ answerTokens: tokenIds.length, positions },
  };
  const verdict = judgeCheck(await prepared.run({ signal }), claims, calibration);
  if (verdict === undefined) throw new Error("a check looked elsewhere than it was asked to");
  return verdict;
}

function summaryOf(verdicts: readonly CheckVerdict[]): string {
  const means = verdicts.map(({ meanMargin }) => meanMargin);
  const flagged = verdicts.filter(({ outcome }) => outcome === "implausible").length;
  return `${flagged} of ${verdicts.length} implausible, mean margin ${median(means).toFixed(4)} at the median, at most ${Math.max(...means).toFixed(4)}`;
}

function readFlags() {
  const { values } = parseArgs({
    options: {
      upstream: { type: "string", multiple: true, default: [] },
      model: { type: "string", default: "smollm2-135m-instruct" },
      prompts: { type: "string", default: "20" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help || values.upstream.length === 0) {
    console.log(usage);
    process.exit(values.help ? 0 : 2);
  }
  return {
    upstreams: values.upstream.map((url) => new URL(url)),
    model: values.model,
    prompts: z.coerce.number().int().min(1).max(1_000).parse(values.prompts),
  };
}
