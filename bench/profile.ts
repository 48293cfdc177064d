import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { readFlags } from "./flags.ts";
import { describeMachine, ForeignLoad } from "./machine.ts";
import { Inspector } from "./profile/inspector.ts";
import { type CpuProfile, cpuProfileSchema, type Place, type SelfTime, selfTimes } from "./profile/self-times.ts";
import { writeResults } from "./report.ts";
import { BenchNetwork } from "./router/bench-network.ts";
import { runLoad } from "./router/run-load.ts";

/** Where the time goes, in the router's isolate and in a node's process, under the load of `bench:router`. */
const loads = {
  whole: { shape: "whole", model: "mock-instant", pieces: 1, connections: 64 },
  stream: { shape: "stream", model: "mock-instant", pieces: 50, connections: 64 },
  paced: { shape: "stream", model: "mock-paced", pieces: 50, connections: 64, spreadMs: 1_000 },
} as const;
const mostFunctions = 25;
const mostFiles = 15;

const { isQuick, only } = readFlags({ command: "profile", parts: Object.keys(loads) });
const root = resolve(import.meta.dirname, "..");
const startedAt = new Date().toISOString();
const foreignLoad = new ForeignLoad();
const beganAtMs = performance.now();
const told: { title: string; busyMs: number; requests: number | null; files: SelfTime[]; functions: SelfTime[] }[] = [];
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));
const folder = mkdtempSync(join(tmpdir(), "cortensor-profile-"));
const nodeProfiles = join(folder, "node-profiles");
/** Whole profiles, for DevTools; they are large and stay out of the project. */
const profilesDir = join(tmpdir(), "cortensor-profiles");
mkdirSync(profilesDir, { recursive: true });

const network = await BenchNetwork.start({
  ...{ folder, nodes: 4, slots: 64, models: ["mock-instant", "mock-paced"] },
  routerScript: "bench/profile/inspected-router.ts",
  nodeFlags: ["--cpu-prof", `--cpu-prof-dir=${nodeProfiles}`],
});
try {
  const map = new SourceMap(JSON.parse(readFileSync(join(folder, "router/worker.js.map"), "utf8")));
  const fileInBundle = ({ line, column }: Place) => {
    const entry = map.findEntry(line, column);
    return "originalSource" in entry ? tidy(resolve(folder, "router", entry.originalSource)) : "the bundle";
  };
  for (const [name, load] of Object.entries(loads)) {
    if (only.length > 0 && !only.includes(name)) continue;
    const inspector = await Inspector.connect(inspectorPortOf(network));
    await inspector.call("Profiler.enable");
    await inspector.call("Profiler.setSamplingInterval", { interval: 500 });
    const url = `${network.origin}/v1/chat/completions`;
    const job = { url, headers: network.headers, requests: null, ...load } as const;
    // What is compiled and looked up once is not what a router spends its life on.
    await runLoad({ ...job, warmUpMs: 0, forMs: 2_000 }, { folder });
    await inspector.call("Profiler.start");
    const result = await runLoad({ ...job, warmUpMs: 0, forMs: isQuick ? 3_000 : 8_000 }, { folder });
    const { profile } = z
      .object({ profile: cpuProfileSchema })
      .loose()
      .parse(await inspector.call("Profiler.stop"));
    inspector.close();
    tell(`router, ${name}`, profile, fileInBundle, result.requests);
  }
} finally {
  await network.stop();
}
for (const file of readdirSync(nodeProfiles)) {
  const profile = cpuProfileSchema.parse(JSON.parse(readFileSync(join(nodeProfiles, file), "utf8")));
  tell("nodes, all loads", profile, ({ url }) => tidy(url.startsWith("file:") ? fileURLToPath(url) : url), undefined);
}
rmSync(folder, { recursive: true, force: true });
const foreignCores = foreignLoad.cores(performance.now() - beganAtMs);
const parts = told.map(({ title, ...figures }) => ({ part: title, lines: [], figures, foreignCores }));
console.log(`All figures: ${writeResults("profile", { machine: describeMachine(), startedAt, isQuick, parts })}`);

function inspectorPortOf({ router }: BenchNetwork): number {
  const ready = z.object({ inspectorPort: z.int() });
  const ports = router.lines
    .filter((line) => line.startsWith('{"ready"'))
    .map((line) => ready.parse(JSON.parse(line)).inspectorPort);
  return z.int().parse(ports.at(-1));
}

/** A source as a person knows it: packages by name, ours from the root. */
function tidy(path: string): string {
  const [, inPackage] = path.split("node_modules/", 2);
  return inPackage ?? (path.startsWith("/") ? relative(root, path) : path);
}

function tell(
  title: string,
  profile: CpuProfile,
  fileOf: (place: Place) => string,
  requests: number | undefined,
): void {
  const { functions, files, busyMs } = selfTimes(profile, fileOf);
  const each = requests === undefined ? "" : `, ${((busyMs * 1_000) / requests).toFixed(0)} µs each of ${requests}`;
  console.log(`── ${title}: busy for ${busyMs.toFixed(0)} ms${each}`);
  const line = ({ name, file, selfMs, share }: SelfTime) =>
    `  ${(share * 100).toFixed(1).padStart(5)} %  ${selfMs.toFixed(0).padStart(6)} ms  ${name}${file === "" || file === name ? "" : `  ${file}`}`;
  console.log(`${files.slice(0, mostFiles).map(line).join("\n")}\n`);
  console.log(`${functions.slice(0, mostFunctions).map(line).join("\n")}\n`);
  told.push({
    title,
    busyMs,
    requests: requests ?? null,
    files: files.slice(0, mostFiles),
    functions: functions.slice(0, mostFunctions),
  });
  const path = join(profilesDir, `${title.replaceAll(/[^a-z]+/g, "-")}.cpuprofile`);
  writeFileSync(path, JSON.stringify(profile));
  console.log(`  opens in DevTools: ${path}\n`);
}
