import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultCacheDir } from "../worker-node/models/cache-dir.ts";
import { holdModels } from "../worker-node/models/hold-models.ts";
import { holdReadingCopy } from "../worker-node/models/hold-reading-copy.ts";
import { measureCheckCost, measureChecks } from "./engine/checks.ts";
import { startEngineProcess } from "./engine/engine-process.ts";
import { type engineBenchParts, readFlags } from "./engine/flags.ts";
import { measureFollowUp } from "./engine/follow-up.ts";
import { startLlamaServer } from "./engine/llama-server.ts";
import type { Contender } from "./engine/round.ts";
import { measureSampling } from "./engine/sampling.ts";
import type { EngineSetup } from "./engine/serve-rounds.ts";
import { measureThroughput } from "./engine/throughput.ts";
import { describeMachine, ForeignLoad } from "./machine.ts";
import { type PartReport, type ReportLine, tableOf, writeResults } from "./report.ts";

const { isQuick, only, model, llamaServer } = readFlags();
const isWanted = (part: (typeof engineBenchParts)[number]) => only.length === 0 || only.includes(part);
const startedAt = new Date().toISOString();
const folder = mkdtempSync(join(tmpdir(), "cortensor-bench-"));
const parts: PartReport[] = [];

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));

try {
  const [held] = await holdModels({ names: [model], cacheDir: defaultCacheDir(), out: (line) => console.log(line) });
  if (held === undefined) throw new Error(`there is no model ${model}`);
  const setup = { modelPath: held.path, slots: 8, contextTokens: 2_048 };
  const path = await holdReadingCopy(held, { cacheDir: defaultCacheDir(), out: (line) => console.log(line) });
  const copy = path === undefined ? undefined : { path, model: held.fileSha256 };
  await withContender(startOurs({ ...setup, copy }), async (ours) => {
    if (isWanted("throughput") || isWanted("sampling")) {
      await withContender(startPlain(setup), async (plain) => {
        if (isWanted("sampling")) await reportSampling([ours, plain]);
        if (isWanted("throughput")) await reportAllThroughput([ours, plain], setup);
      });
    }
    if (isWanted("follow-up")) {
      await report("follow-up turn on about 1,500 tokens", () => measureFollowUp(ours, { rounds: isQuick ? 2 : 5 }));
    }
    if (isWanted("check")) {
      const size = { rounds: isQuick ? 2 : 5, tokens: 256, taskTokens: isQuick ? 32 : 64 };
      const part = `a check of ${size.tokens} tokens, read by ${copy === undefined ? "the model's file" : "its copy of 8 bits first"}`;
      await report(part, () => measureChecks(ours, size));
      if (copy !== undefined) {
        await withContender(startOurs(setup), (alone) =>
          report(`a check of ${size.tokens} tokens, read by the model's file`, () =>
            measureCheckCost(alone, size).then(withoutGoals),
          ),
        );
      }
    }
  });
  console.log(`All figures: ${writeResults("engine", { machine: describeMachine(), startedAt, isQuick, parts })}`);
  rmSync(folder, { recursive: true, force: true });
} catch (error) {
  console.error(error);
  console.error(`The logs are kept in ${folder}.`);
  process.exitCode = 1;
}

function startOurs(setup: EngineSetup): Promise<Contender> {
  return startEngineProcess({ name: "our engine", script: "bench/engine/our-engine.ts", setup, folder });
}

function startPlain(setup: EngineSetup): Promise<Contender> {
  return startEngineProcess({ name: "node-llama-cpp", script: "bench/engine/plain-engine.ts", setup, folder });
}

async function withContender(starting: Promise<Contender>, use: (contender: Contender) => Promise<void>) {
  const contender = await starting;
  try {
    // What is slow only the first time is no part of any figure.
    await contender.run({ conversations: [[{ role: "user", content: "Write a long story." }]], tokens: 8 });
    await use(contender);
  } finally {
    await contender.stop();
  }
}

async function reportSampling(contenders: readonly [ours: Contender, plain: Contender]): Promise<void> {
  const size = isQuick ? { rounds: 2, tokens: 32 } : { rounds: 7, tokens: 48 };
  const part = `verifiable sampling beside llama.cpp's own sampler, ${size.tokens} tokens an answer`;
  await report(part, () => measureSampling(contenders, size));
}

async function reportAllThroughput(
  contenders: readonly [ours: Contender, plain: Contender],
  setup: EngineSetup,
): Promise<void> {
  if (llamaServer === undefined) {
    console.log("llama-server is not on this machine (PATH, --llama-server): left out.\n");
    return reportThroughput(contenders);
  }
  await withContender(startLlamaServer({ path: llamaServer, setup, folder }), (server) =>
    reportThroughput([...contenders, server]),
  );
}

async function reportThroughput(contenders: readonly [ours: Contender, ...others: Contender[]]): Promise<void> {
  const size = isQuick ? { rounds: 2, tokens: 32 } : { rounds: 7, tokens: 96 };
  await report(`tokens/s, ${size.tokens} tokens an answer`, () => measureThroughput(contenders, size));
}

/** What nobody does where there is something better is measured for comparison alone. */
function withoutGoals({ lines, figures }: { lines: ReportLine[]; figures: unknown }) {
  return { lines: lines.map(({ what, value }) => ({ what, value })), figures };
}

async function report(part: string, measure: () => Promise<{ lines: ReportLine[]; figures: unknown }>): Promise<void> {
  const load = new ForeignLoad();
  const beganAtMs = performance.now();
  const { lines, figures } = await measure();
  const done = { part, lines, figures, foreignCores: load.cores(performance.now() - beganAtMs) };
  parts.push(done);
  console.log(tableOf(done));
}
