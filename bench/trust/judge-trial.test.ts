import { expect, test } from "vitest";
import { honestCalibration, judgeCopyFirst, judgeTrial } from "./judge-trial.ts";
import type { TrialRow } from "./trial-row.ts";

const calibration = honestCalibration();
const positions = Array.from({ length: 32 }, (_, position) => position);
const everywhere = (margin: number) => positions.map(() => margin);
const row = ({ margins, copyMargins }: Pick<TrialRow, "margins" | "copyMargins">): TrialRow => ({
  ...{ adversary: "honest", sampling: "T=1", promptId: "one", seed: 1, maker: "usual", checker: "copy first" },
  ...{ tokens: 64, finishReason: "length", promptTokens: 9, checkedPromptTokens: 9, positions, margins },
  ...{ copyMargins, ranks: everywhere(0), isTextOfTokens: true, isEndRight: true, suspicions: [], checkMs: 1 },
});

test.each<[guarantee: string, file: number, copy: number, outcome: string, isReadTwice: boolean]>([
  ["what both find right is plausible at the first reading", 0, 0.001, "plausible", false],
  ["what the copy alone doubts is read again and plausible", 0.001, 0.4, "plausible", true],
  ["what the copy finds just within the bound is read again", 0.4, 0.03, "implausible", true],
  ["what both doubt is implausible", 0.4, 0.4, "implausible", true],
  ["what the copy finds right is not read again", 0.4, 0.001, "plausible", false],
])("%s", (_guarantee, file, copy, outcome, isReadTwice) => {
  const trial = row({ margins: everywhere(file), copyMargins: everywhere(copy) });
  expect(judgeCopyFirst(trial, calibration)).toMatchObject({ verdict: { outcome }, isReadTwice });
});

test("by its own file alone a validator finds what a copy lets pass", () => {
  expect(judgeTrial(row({ margins: everywhere(0.4), copyMargins: everywhere(0) }), calibration).outcome).toBe(
    "implausible",
  );
});

test("a trial that no copy has read can't be judged by one", () => {
  expect(() => judgeCopyFirst(row({ margins: everywhere(0) }), calibration)).toThrow("was not read by the copy");
});
