import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";

/** Longest time that any of its requests may take. */
const hangSeconds = 60;

/**
 * What an answer may be wrong in: a 5xx but 503; a status or a type of content that the description has not; a method
 * that it has not and the router takes; a 405 that does not say what is allowed; a key that nobody checks.
 */
const checks = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "unsupported_method",
  "allow_header_conformance",
  "ignored_auth",
];

const reportSchema = z.object({
  operations: z.looseObject({ total: z.int(), tested: z.int() }),
  test_cases: z.looseObject({ generated: z.int() }),
  failures: z.array(z.unknown()),
  errors: z.array(z.unknown()),
});

export interface SchemathesisReport {
  /** Operations of the description, and how many of them were reached in time. */
  operations: number;
  tested: number;
  requests: number;
  problems: string[];
}

/** Runs schemathesis on a router's `/openapi.json` for so long; `python` has it installed. Throws where it did not run. */
export async function runSchemathesis({
  python,
  origin,
  apiKey,
  models,
  seed,
  forSeconds,
}: {
  python: string;
  /** Without `/v1`. */
  origin: string;
  apiKey: string;
  models: { chat: string; embedding: string };
  seed: number;
  forSeconds: number;
}): Promise<SchemathesisReport> {
  const folder = await mkdtemp(join(tmpdir(), "cortensor-schemathesis-"));
  const reportPath = join(folder, "report.json");
  const flags = ["--checks", checks.join(","), "--phases", "examples,coverage,fuzzing", "--continue-on-failure"];
  flags.push("--max-time", String(forSeconds), "--request-timeout", String(hangSeconds), "--seed", String(seed));
  // One at a time: with threads CPython 3.11 breaks off within hypothesis ("AST constructor recursion depth mismatch").
  flags.push("--workers", "1", "--generation-database", "none", "--no-shrink", "--no-color");
  flags.push("--header", `Authorization: Bearer ${apiKey}`, "--report", "json", "--report-json-path", reportPath);
  const child = spawn(
    join(dirname(python), "schemathesis"),
    ["--config-file", join(import.meta.dirname, "schemathesis.toml"), "run", `${origin}/openapi.json`, ...flags],
    {
      // It remembers in its working directory what failed, and would begin with that the next time.
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        PYTHONDONTWRITEBYTECODE: "1",
        // Where the hooks are.
        PYTHONPATH: import.meta.dirname,
        FUZZ_CHAT_MODEL: models.chat,
        FUZZ_EMBEDDING_MODEL: models.embedding,
      },
    },
  );
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (said += text));
  const [code] = await once(child, "close");
  // 1 is what it ends with where it has found something.
  if (code !== 0 && code !== 1) throw new Error(`schemathesis ended with ${code}:\n${said}`);
  const report = reportSchema.parse(JSON.parse(readFileSync(reportPath, "utf8")));
  rmSync(folder, { recursive: true });
  return {
    operations: report.operations.total,
    tested: report.operations.tested,
    requests: report.test_cases.generated,
    problems: [
      ...[...report.failures, ...report.errors].map((problem) => JSON.stringify(problem).slice(0, 4_000)),
      // The report names what was found; the requests to make again, and its own faults, are in what it said.
      ...(code === 0 ? [] : [said.slice(-20_000)]),
    ],
  };
}
