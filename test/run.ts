import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { createInterface } from "node:readline";
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
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string(),
      assertionResults: z.array(
        z.object({ fullName: z.string(), status: z.string(), failureMessages: z.array(z.string()).nullish() }),
      ),
    }),
  ),
});

const root = resolve(import.meta.dirname, "..");
const bin = (name: string) => join(root, "node_modules/.bin", name);
const scratch = mkdtempSync(join(tmpdir(), "cortensor-test-"));

type Suite = readonly [name: string, run: (name: string) => Promise<Counts>];

/** Quick ones, one after another and before all else: a slip of the pen is told within seconds, not after ten minutes. */
const quick: readonly Suite[] = [
  ["format and lint", () => check("biome", ["check", "."])],
  ["types", () => check("tsc", ["-p", "tsconfig.json"])],
  ["types of the router", () => check("tsc", ["-p", "edge/tsconfig.json"])],
  ["deployable", () => check("wrangler", ["deploy", "--dry-run", "--outdir", join(scratch, "deploy")])],
  ["models", pullModels],
];
/** Then these lanes beside each other, since whole networks wait for their clocks for half of their time. */
const lanes: readonly (readonly Suite[])[] = [
  [
    ["unit", (name) => vitest(name, "vitest.config.ts")],
    ["contracts", runForgeTests],
    ["workerd", (name) => vitest(name, "vitest.workerd.config.ts")],
    ["chaos", (name) => vitest(name, "vitest.chaos.config.ts")],
    ["adversaries", (name) => vitest(name, "vitest.e2e.config.ts", ["test/adversaries"])],
  ],
  [["end to end", (name) => vitest(name, "vitest.e2e.config.ts", ["test/e2e", "bench"])]],
];

const wanted = process.argv.slice(2);
const total: Counts = { passed: 0, failed: 0, skipped: 0 };
const lines: string[] = [];
const failures: string[] = [];
await runInTurn(quick);
await Promise.all(lanes.map(runInTurn));
rmSync(scratch, { recursive: true, force: true });
if (lines.length === 0) {
  const names = [quick, ...lanes].flat().map(([name]) => name);
  console.error(`There is no suite of that name. There is: ${names.join(", ")}.`);
  process.exit(2);
}
if (failures.length > 0) console.log(`\n${failures.join("\n")}`);
console.log(`\n${lines.join("\n")}\n`);
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ""}`);
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0);

async function runInTurn(suites: readonly Suite[]): Promise<void> {
  for (const [name, run] of suites) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    console.log(`\n── ${name}`);
    const startedAtMs = Date.now();
    const counts = await run(name).catch((error: unknown) => {
      const message = error instanceof Error ? error.message : String(error);
      console.error(message);
      failures.push(`✗ ${name}: ${firstLineOf(message)}`);
      return { passed: 0, failed: 1, skipped: 0 };
    });
    const seconds = ((Date.now() - startedAtMs) / 1_000).toFixed(0);
    lines.push(`${name.padEnd(20)} ${counts.passed} passed, ${counts.failed} failed (${seconds} s)`);
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped += counts.skipped;
  }
}

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

/** Each line of its output begins with the suite's name, since another suite may be at work beside it. */
async function vitest(name: string, config: string, folders: readonly string[] = []): Promise<Counts> {
  const report = join(scratch, `${name}.json`);
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const code = await finished(bin("vitest"), ["run", "--config", config, ...reporters, ...folders], (line) => {
    if (line !== "") console.log(`${name} │ ${line}`);
  });
  if (!existsSync(report)) throw new Error(`vitest ended with ${code} and left no report.`);
  const counted = reportSchema.parse(JSON.parse(readFileSync(report, "utf8")));
  for (const file of counted.testResults) {
    const failed = file.assertionResults.filter(({ status }) => status === "failed");
    for (const { fullName, failureMessages } of failed) {
      failures.push(`✗ ${relative(root, file.name)}: ${fullName}\n    ${firstLineOf(failureMessages?.[0] ?? "")}`);
    }
    if (failed.length === 0 && file.status === "failed") {
      failures.push(`✗ ${relative(root, file.name)}: ${firstLineOf(file.message)}`);
    }
  }
  const failed = counted.numFailedTests;
  return {
    passed: counted.numPassedTests,
    // A file that does not load, or an error outside any test, fails the run without failing a test.
    failed: failed === 0 && code !== 0 ? 1 : failed,
    skipped: counted.numPendingTests,
  };
}

function firstLineOf(text: string): string {
  return text.trimStart().split("\n", 1)[0]?.slice(0, 300) ?? "";
}

function finished(command: string, args: readonly string[], onLine?: (line: string) => void): Promise<number> {
  const child = spawn(command, [...args], {
    cwd: root,
    stdio: onLine === undefined ? ["ignore", "inherit", "inherit"] : ["ignore", "pipe", "pipe"],
    env: { ...process.env, WRANGLER_SEND_METRICS: "false", NO_COLOR: "1" },
  });
  for (const output of [child.stdout, child.stderr]) {
    if (output !== null && onLine !== undefined) createInterface(output).on("line", onLine);
  }
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 1));
  });
}
