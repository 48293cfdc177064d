import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { catalogue } from "../core/model/catalogue.ts";
import { defaultCacheDir } from "../worker-node/models/cache-dir.ts";
import { holdModels } from "../worker-node/models/hold-models.ts";

const usage = `npm run prove             the long forms of what npm test holds shorter forms of
npm run fuzz -- [options]  ten minutes of requests drawn from a seed; writes docs/fuzz.md

  --only NAME     one of: structured, batch, fuzz
  --minutes N     how long to fuzz (default 10)
  --seed N        what the requests are drawn from (default 1)
  --help          this text`;

const root = resolve(import.meta.dirname, "..");
const scratch = mkdtempSync(join(tmpdir(), "cortensor-prove-"));
const fuzzReport = join(scratch, "fuzz.json");
const flags = readFlags();
const names = catalogue.map(({ name }) => name);
await holdModels({ names, cacheDir: defaultCacheDir(), out: console.log });

/** Each is a suite's config, what of it runs, and how much. */
const proofs: Readonly<Record<string, { args: readonly string[]; env: Readonly<Record<string, string>> }>> = {
  structured: {
    args: ["--config", "vitest.e2e.config.ts", "test/e2e/structured.e2e.ts"],
    env: { STRUCTURED_RUNS: "200" },
  },
  batch: {
    args: ["--config", "vitest.chaos.config.ts", "test/chaos/three-nodes", "-t", "a batch of"],
    env: { CHAOS_BATCH_LINES: "1000" },
  },
  fuzz: {
    args: ["--config", "vitest.e2e.config.ts", "test/e2e/fuzz.e2e.ts"],
    env: { FUZZ_SECONDS: String(flags.minutes * 60), FUZZ_SEED: String(flags.seed), FUZZ_REPORT: fuzzReport },
  },
};

let failed = 0;
for (const [name, { args, env }] of Object.entries(proofs)) {
  if (flags.only !== undefined && flags.only !== name) continue;
  console.log(`\n── ${name}`);
  const code = await run(args, env);
  if (code !== 0) failed += 1;
  if (name === "fuzz" && flags.minutes >= 10) writeFuzzPage();
}
rmSync(scratch, { recursive: true, force: true });
process.exit(failed > 0 ? 1 : 0);

function run(args: readonly string[], env: Readonly<Record<string, string>>): Promise<number> {
  const child = spawn(join(root, "node_modules/.bin/vitest"), ["run", ...args], {
    ...({ cwd: root, stdio: ["ignore", "inherit", "inherit"] } as const),
    env: { ...process.env, ...env },
  });
  return new Promise((done, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => done(code ?? 1));
  });
}

/** A run of ten minutes or more is told in the docs. */
function writeFuzzPage(): void {
  const problemsSchema = z.array(z.string());
  const { seed, seconds, drawn, schemathesis } = z
    .object({
      seed: z.int(),
      seconds: z.int(),
      drawn: z.object({ requests: z.int(), statuses: z.array(z.tuple([z.int(), z.int()])), problems: problemsSchema }),
      schemathesis: z.object({ requests: z.int(), operations: z.int(), tested: z.int(), problems: problemsSchema }),
    })
    .parse(JSON.parse(readFileSync(fuzzReport, "utf8")));
  const count = (value: number) => value.toLocaleString("en-US");
  writeFileSync(
    join(root, "docs/fuzz.md"),
    `<!-- \`npm run fuzz\` writes this page anew. -->
# Requests drawn from a seed

\`npm run fuzz\` starts the network with real small models and sends it requests that are mostly wrong: every field of every
route with values of its own kind and of any other, schemas with loops, remote references and slow patterns, control tokens
of templates, NUL, halves of surrogate pairs, JSON nested 200,000 levels deep, bytes that are no JSON, paths and methods that
are none. An answer of 500, an error of our own within a stream, no answer, or none within a minute is a problem. The other half
of the time is schemathesis': it makes requests of the schemas in \`/openapi.json\`, at their bounds and beyond them, and a
status or a type of content that is not described, a method that is taken and not described, and a key that nobody checks
are problems too. After each half the same processes must answer as before. \`npm test\` holds a minute of it.

The last run, ${new Date().toISOString().slice(0, 10)}: ${seconds / 60} minutes, seed ${seed}. Drawn: ${count(drawn.requests)} requests, ${drawn.problems.length} problems.
schemathesis: ${count(schemathesis.requests)} requests to ${schemathesis.tested} of ${schemathesis.operations} operations, ${schemathesis.problems.length} problems.

| status | answers to what was drawn |
| --: | --: |
${drawn.statuses.map(([status, answers]) => `| ${status} | ${count(answers)} |`).join("\n")}
`,
  );
  console.log("docs/fuzz.md is written.");
}

function readFlags(): { only: string | undefined; minutes: number; seed: number } {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      minutes: { type: "string", default: "10" },
      seed: { type: "string", default: "1" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    process.exit(0);
  }
  return z
    .object({
      only: z.enum(["structured", "batch", "fuzz"]).optional(),
      minutes: z.coerce.number().positive().max(600),
      seed: z.coerce.number().int().min(0),
    })
    .transform(({ only, ...rest }) => ({ only, ...rest }))
    .parse(values);
}
