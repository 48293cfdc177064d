import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { defaultCacheDir } from "../../worker-node/models/cache-dir.ts";
import { holdModels } from "../../worker-node/models/hold-models.ts";
import { chaosPage } from "./chaos-page.ts";
import { readReports } from "./chaos-report.ts";
import { model } from "./network.ts";
import { settings } from "./settings.ts";

const usage = `npm run chaos -- [options]

Runs every chaos test, with many faults in a row, and writes their counts to docs/chaos.md (from 200 faults on).
  --faults N   faults in a row (default 200)
  --seed N     what the faults are drawn from (default ${settings.seed})
  --long       a batch has 1,000 requests instead of ${settings.batchLines}, and Postgres is down for two minutes instead of ${settings.postgresDownMs / 1_000} s
  --help       this text`;

/** Fewer faults than this are no evidence for a page. */
const leastForPage = 200;
const root = resolve(import.meta.dirname, "../..");

const flags = readFlags();
await holdModels({ names: [model], cacheDir: defaultCacheDir(), out: console.log });
const scratch = mkdtempSync(join(os.tmpdir(), "cortensor-chaos-reports-"));
const code = await runTests();
const { faults, ...others } = readReports(scratch);
if (faults !== undefined && faults.outcomes.length >= leastForPage) {
  const date = new Date().toISOString().slice(0, 10);
  writeFileSync(join(root, "docs/chaos.md"), chaosPage(faults, { date, cores: os.availableParallelism(), ...others }));
  console.log("docs/chaos.md is written.");
}
rmSync(scratch, { recursive: true, force: true });
process.exit(code);

/** Runs the chaos tests; resolves with the runner's exit code. */
function runTests(): Promise<number> {
  const child = spawn(join(root, "node_modules/.bin/vitest"), ["run", "--config", "vitest.chaos.config.ts"], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: {
      ...process.env,
      CHAOS_FAULTS: String(flags.faults),
      CHAOS_SEED: String(flags.seed),
      CHAOS_REPORTS: scratch,
      ...(flags.long ? { CHAOS_POSTGRES_DOWN_SECONDS: "120", CHAOS_BATCH_LINES: "1000" } : {}),
    },
  });
  // A terminal's Ctrl-C reaches the runner by itself; a signal sent to this process alone must be handed on.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (exitCode) => resolve(exitCode ?? 1));
  });
}

function readFlags(): { faults: number; seed: number; long: boolean } {
  try {
    const { values } = parseArgs({
      options: {
        faults: { type: "string", default: String(leastForPage) },
        seed: { type: "string", default: String(settings.seed) },
        long: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      console.log(usage);
      process.exit(0);
    }
    return z
      .object({
        faults: z.coerce.number().int().min(1).max(10_000),
        seed: z.coerce.number().int().min(0),
        long: z.boolean(),
      })
      .parse(values);
  } catch (error) {
    console.error(`${error instanceof z.ZodError ? z.prettifyError(error) : error}\n\n${usage}`);
    process.exit(2);
  }
}
