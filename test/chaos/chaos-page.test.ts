import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { chaosPage } from "./chaos-page.ts";
import { type FaultReport, readReports } from "./chaos-report.ts";
import { faultTable } from "./fault-table.ts";

const outcome = { fault: "cut", answerProblems: [], recordProblems: [], longestSilenceMs: 900 };
const report: FaultReport = { seed: 7, outcomes: [outcome, outcome], streams: 3, tasks: 3 };
const run = { date: "2026-01-31", cores: 2 };

test("the page has the run's table, its size, and how to run it again", () => {
  const page = chaosPage(report, run);
  expect(page).toContain(faultTable(report.outcomes));
  expect(page).toContain("2 faults, 3 streams asked for, 3 tasks in the record. Seed 7, 2026-01-31, 2 cores");
  expect(page).toContain("npm run chaos");
});

test("the page says how long Postgres was away, and nothing of it where that was not tried", () => {
  const page = chaosPage(report, { ...run, postgres: { downMs: 120_000, streams: 90, whileDown: 80 } });
  expect(page).toContain("away for 120 s (2026-01-31): 90 short streams were asked for, 80 of which");
  expect(chaosPage(report, run)).not.toContain("away for");
});

test("a part of the run that did not come to its end has left no report", () => {
  const folder = mkdtempSync(join(tmpdir(), "cortensor-chaos-reports-"));
  writeFileSync(join(folder, "faults.json"), JSON.stringify(report));
  expect(readReports(folder)).toEqual({ faults: report });
  rmSync(folder, { recursive: true });
});
