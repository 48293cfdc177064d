import { expect, test } from "vitest";
import { chaosPage, faultReportSchema } from "./chaos-page.ts";
import { faultTable } from "./fault-table.ts";

test("the page has the run's table, its size, and how to run it again", () => {
  const outcome = { fault: "cut", answerProblems: [], recordProblems: [], longestSilenceMs: 900 };
  const report = faultReportSchema.parse({ seed: 7, outcomes: [outcome, outcome], streams: 3, tasks: 3 });
  const page = chaosPage(report, { date: "2026-01-31", cores: 2 });
  expect(page).toContain(faultTable(report.outcomes));
  expect(page).toContain("2 faults, 3 streams asked for, 3 tasks in the record. Seed 7, 2026-01-31, 2 cores");
  expect(page).toContain("npm run chaos");
});
