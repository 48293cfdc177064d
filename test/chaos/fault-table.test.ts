import { expect, test } from "vitest";
import { type FaultOutcome, faultTable, quantile } from "./fault-table.ts";

test.each<[what: string, values: number[], share: number, result: number]>([
  ["the middle of three", [3, 1, 2], 0.5, 2],
  ["the lower middle of four", [4, 3, 2, 1], 0.5, 2],
  ["the last but one of two hundred", Array.from({ length: 200 }, (_, index) => index + 1), 0.99, 198],
  ["the greatest of a few", [5, 7, 6], 0.99, 7],
  ["the only one", [9], 0.5, 9],
  ["none", [], 0.5, 0],
])("a quantile is %s", (_what, values, share, result) => {
  expect(quantile(values, share)).toBe(result);
});

test("the table counts each kind and all, broken streams and wrong records apart", () => {
  const outcome = (fault: string, silenceMs: number, problems: Partial<FaultOutcome> = {}): FaultOutcome => ({
    fault,
    answerProblems: [],
    recordProblems: [],
    longestSilenceMs: silenceMs,
    ...problems,
  });
  const outcomes = [
    outcome("cut", 1_000),
    outcome("kill", 2_500),
    outcome("cut", 500, { answerProblems: ["the text differs"] }),
    outcome("cut", 3_000, { recordProblems: ["the task is there twice"] }),
  ];
  expect(faultTable(outcomes)).toBe(
    [
      "| fault | times | streams intact | broken | tasks recorded once | longest silence, p50 | p99 |",
      "| --- | --: | --: | --: | --: | --: | --: |",
      "| cut | 3 | 2 | 1 | 2 | 1.00 s | 3.00 s |",
      "| kill | 1 | 1 | 0 | 1 | 2.50 s | 2.50 s |",
      "| all | 4 | 3 | 1 | 3 | 1.00 s | 3.00 s |",
    ].join("\n"),
  );
});
