import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { runForgeTests } from "../contracts/run-tests.ts";
import { catalogue } from "../core/model/catalogue.ts";

/** What a suite's own runner counted. */
interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** What vitest's JSON report is read for. */
const reportSchema = z.object({
  numPassedTests: z.int(),
  numFailedTests: z.int(),
  numPendingTests: z.int(),
});

const root = resolve(import.meta.dirname, "..");
const bin = (name: string) => join(root, "node_modules/.bin", name);
const scratch = mkdtempSync(join(tmpdir(), "cortensor-test-"));

/** Every suite, quick ones first: a slip of the pen is told within seconds, not after ten minutes. */
const suites: readonly (readonly [name: string, run: () => Promise<Counts>])[] = [
  ["format and lint", () => check("biome", ["check", "."])],
  ["types", () => check("tsc", ["-p", "tsconfig.json"])],
  ["types of the router", () => check("tsc", ["-p", "edge/tsconfig.json"])],
  ["deployable", () => check("wrangler", ["deploy", "--dry-run", "--outdir", join(scratch, "deploy")])],
  ["models", pullModels],
  ["unit", () => vitest("vitest.config.ts")],
  ["contracts", runForgeTests],
  ["workerd", () => vitest("vitest.workerd.config.ts")],
  ["end to end", () => vitest("vitest.e2e.config.ts")],
  ["chaos", () => vitest("vitest.chaos.config.ts")],
];

const wanted = process.argv.slice(2);
const total: Counts = { passed: 0, failed: 0, skipped: 0 };
const lines: string[] = [];
for (const [name, run] of suites) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.log(`\n── ${name}`);
  const startedAtMs = Date.now();
  const counts = await run().catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    return { passed: 0, failed: 1, skipped: 0 };
  });
  const seconds = ((Date.now() - startedAtMs) / 1_000).toFixed(0);
  lines.push(`${name.padEnd(20)} ${counts.passed} passed, ${counts.failed} failed (${seconds} s)`);
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
}
rmSync(scratch, { recursive: true, force: true });
if (lines.length === 0) {
  console.error(`There is no suite of that name. There is: ${suites.map(([name]) => name).join(", ")}.`);
  process.exit(2);
}
console.log(`\n${lines.join("\n")}\n`);
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ""}`);
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0);

/** A tool that has no tests of its own counts as one: it is content, or it is not. */
async function check(tool: string, args: readonly string[]): Promise<Counts> {
  const code = await finished(bin(tool), args);
  return code === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 };
}

/** The real models that the end-to-end suite asks questions of. */
async function pullModels(): Promise<Counts> {
  const code = await finished(process.execPath, [
    join(root, "worker-node/bin/cortensor-node.js"),
    ...["models", "pull", ...catalogue.map((model) => model.name)],
  ]);
  if (code !== 0) throw new Error("The models could not be had; the lines above say why.");
  return { passed: 0, failed: 0, skipped: 0 };
}

async function vitest(config: string): Promise<Counts> {
  const report = join(scratch, `${config}.json`);
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const code = await finished(bin("vitest"), ["run", "--config", config, ...reporters]);
  if (!existsSync(report)) throw new Error(`vitest ended with ${code} and left no report.`);
  const counted = reportSchema.parse(JSON.parse(readFileSync(report, "utf8")));
  const failed = counted.numFailedTests;
  return {
    passed: counted.numPassedTests,
    // A file that does not load, or an error outside any test, fails the run without failing a test.
    failed: failed === 0 && code !== 0 ? 1 : failed,
    skipped: counted.numPendingTests,
  };
}

function finished(command: string, args: readonly string[]): Promise<number> {
  const child = spawn(command, [...args], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, WRANGLER_SEND_METRICS: "false", NO_COLOR: "1" },
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}
