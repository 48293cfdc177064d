import { z } from "zod";
import { runForge } from "./forge.ts";

/** How many tests of the contracts ended how; a fuzz test and an invariant count as one each. */
export interface ForgeCounts {
  passed: number;
  failed: number;
  skipped: number;
}

/** What `forge test --json` writes: suites by `file:contract`, tests by signature; of each test only what is read here. */
const reportSchema = z.record(
  z.string(),
  z.object({
    test_results: z.record(
      z.string(),
      z.object({
        status: z.enum(["Success", "Failure", "Skipped"]),
        reason: z.string().nullable(),
        kind: z.object({
          Unit: z.object({ gas: z.number() }).optional(),
          Fuzz: z.object({ runs: z.number() }).optional(),
          Invariant: z.object({ runs: z.number(), calls: z.number() }).optional(),
        }),
      }),
    ),
  }),
);
type Report = z.infer<typeof reportSchema>;
type TestResult = Report[string]["test_results"][string];

/**
 * Runs every forge test of the contracts, prints one line a test, and gives their number by outcome.
 *
 * Tests that fail are run once more on their own, so that forge prints its traces and counterexamples. Throws where
 * the contracts do not compile (the compiler's messages are the error's message) and where there is no test at all.
 */
export async function runForgeTests(): Promise<ForgeCounts> {
  // From nothing each time: a `forge lint` after an edit caches a build without code, in which forge then finds fewer
  // tests, or none, and says that all is well (1.7.1).
  const { stdout, stderr } = await runForge(["test", "--json", "--force"], { output: "captured" });
  if (!stdout.trimStart().startsWith("{")) {
    throw new Error(`The contracts' tests could not be run.\n${stderr.trim() || stdout.trim()}`);
  }

  const report = reportSchema.parse(JSON.parse(stdout));
  const results = Object.values(report).flatMap((suite) => Object.values(suite.test_results));
  if (results.length === 0) throw new Error("forge found no test in contracts/test, where there are some.");
  for (const line of linesOf(report)) console.log(line);

  const count = (status: TestResult["status"]) => results.filter((result) => result.status === status).length;
  const counts = { passed: count("Success"), failed: count("Failure"), skipped: count("Skipped") };
  if (counts.failed > 0) await runForge(["test", "--rerun", "-vvv"], { output: "terminal" });
  console.log(`forge: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  return counts;
}

function linesOf(report: Report): string[] {
  return Object.entries(report).flatMap(([suite, { test_results: tests }]) => [
    suite,
    ...Object.entries(tests).map(([name, result]) => `  ${markOf(result)} ${name} ${extentOf(result)}`.trimEnd()),
  ]);
}

function markOf({ status, reason }: TestResult): string {
  if (status === "Success") return "[PASS]";
  return `[${status === "Failure" ? "FAIL" : "SKIP"}${reason === null ? "" : `: ${reason}`}]`;
}

function extentOf({ kind: { Unit, Fuzz, Invariant } }: TestResult): string {
  if (Unit !== undefined) return `(gas: ${Unit.gas})`;
  if (Fuzz !== undefined) return `(runs: ${Fuzz.runs})`;
  if (Invariant !== undefined) return `(runs: ${Invariant.runs}, calls: ${Invariant.calls})`;
  return "";
}

if (import.meta.main) {
  const { failed } = await runForgeTests();
  process.exitCode = failed > 0 ? 1 : 0;
}
