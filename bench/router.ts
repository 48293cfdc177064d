import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readFlags } from "./flags.ts";
import { describeMachine, ForeignLoad } from "./machine.ts";
import { type PartReport, type ReportLine, tableOf, writeResults } from "./report.ts";
import { BenchGround } from "./router/bench-ground.ts";
import { measureBill } from "./router/bill.ts";
import { measureLatency } from "./router/latency.ts";
import { measureLeaving } from "./router/leaving.ts";
import { measureMemory } from "./router/memory.ts";
import { measurePaced } from "./router/paced.ts";
import { measureStorm } from "./router/storm.ts";
import { measureStreams } from "./router/streams.ts";
import { measureThroughput } from "./router/throughput.ts";

type Measured = Promise<{ lines: ReportLine[]; figures: unknown }>;
type Run = { folder: string; isQuick: boolean };

/** Parts that share one network, in the order in which they run. */
const onGround: Readonly<Record<string, (ground: BenchGround) => Measured>> = {
  latency: measureLatency,
  throughput: measureThroughput,
  streams: measureStreams,
  paced: measurePaced,
  leaving: measureLeaving,
  memory: measureMemory,
};
/** Parts with a network of their own. */
const alone: Readonly<Record<string, (run: Run) => Measured>> = { storm: measureStorm, bill: measureBill };

const names = [...Object.keys(onGround), ...Object.keys(alone)];
const { isQuick, only } = readFlags({ command: "bench:router", parts: names });
const isWanted = (name: string) => only.length === 0 || only.includes(name);
const startedAt = new Date().toISOString();
const folder = mkdtempSync(join(tmpdir(), "cortensor-bench-"));
const parts: PartReport[] = [];

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));

try {
  const wanted = Object.entries(onGround).filter(([name]) => isWanted(name));
  if (wanted.length > 0) {
    const ground = await BenchGround.start({ folder: join(folder, "ground"), isQuick });
    try {
      for (const [name, measure] of wanted) await report(name, () => measure(ground));
    } finally {
      await ground.stop();
    }
  }
  for (const [name, measure] of Object.entries(alone)) {
    if (isWanted(name)) await report(name, () => measure({ folder: join(folder, name), isQuick }));
  }
  const path = writeResults("router", { machine: describeMachine(), startedAt, isQuick, parts });
  console.log(`All figures: ${path}`);
  rmSync(folder, { recursive: true, force: true });
} catch (error) {
  console.error(error);
  console.error(`The logs are kept in ${folder}.`);
  process.exitCode = 1;
}

async function report(part: string, measure: () => Measured): Promise<void> {
  const load = new ForeignLoad();
  const beganAtMs = performance.now();
  const { lines, figures } = await measure();
  const done = { part, lines, figures, foreignCores: load.cores(performance.now() - beganAtMs) };
  parts.push(done);
  console.log(tableOf(done));
}
