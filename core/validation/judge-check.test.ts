import { describe, expect, test } from "vitest";
import { modelHashSchema } from "../ids.ts";
import type { CheckReport } from "../wire/node-frame.ts";
import { type Calibration, calibrationOf } from "./calibration.ts";
import { type CheckClaims, type Doubt, judgeCheck } from "./judge-check.ts";

const calibration: Calibration = {
  ...calibrationOf(modelHashSchema.parse("0".repeat(64))),
  thresholds: [
    { fromPositions: 1, meanMargin: 0.5 },
    { fromPositions: 16, meanMargin: 0.05 },
  ],
  grossMeanMargin: 0.2,
  endMargin: 2,
};
const places = (count: number) => Array.from({ length: count }, (_, index) => index);
const reportOf = (margins: readonly number[]): CheckReport => ({
  findings: margins.map((margin, position) => ({ position, margin, rank: margin > 0 ? 3 : 0 })),
  isTextOfTokens: true,
  isEndRight: true,
});
const claimsOf = (count: number): CheckClaims => ({
  promptTokens: 9,
  checkedPromptTokens: 9,
  isCommitmentGood: true,
  answerTokens: 200,
  positions: places(count),
});
const same = (margin: number, count: number) => new Array<number>(count).fill(margin);

describe("an answer is", () => {
  test.each<[what: string, margins: number[], reasons: Doubt[], isGross: boolean]>([
    ["plausible up to the threshold", same(0.0499, 16), [], false],
    ["implausible above it", same(0.051, 16), ["margin"], false],
    ["grossly so far above it", same(0.21, 16), ["margin"], true],
    ["given more room where few places were looked at", same(0.4, 15), [], false],
    ["implausible for one token that cannot be, among 16", [5, ...same(0, 15)], ["margin"], true],
    ["not grossly so where few places were looked at, up to four times their bound", same(1.9, 3), ["margin"], false],
    ["grossly so beyond that", same(2.1, 3), ["margin"], true],
    ["plausible where nothing was looked at", [], [], false],
  ])("%s", (_what, margins, reasons, isGross) => {
    const verdict = judgeCheck(reportOf(margins), claimsOf(margins.length), calibration);
    expect([verdict?.reasons, verdict?.isGross]).toEqual([reasons, isGross]);
    expect(verdict?.outcome).toBe(reasons.length === 0 ? "plausible" : "implausible");
  });

  test.each<
    [what: string, report: Partial<CheckReport>, claims: Partial<CheckClaims>, reasons: Doubt[], isGross: boolean]
  >([
    ["implausible where the text is not that of the ids", { isTextOfTokens: false }, {}, ["text"], true],
    ["implausible where its end is wrong", { isEndRight: false }, {}, ["end"], false],
    ["implausible where it counts its prompt otherwise", {}, { promptTokens: 10 }, ["prompt_tokens"], false],
    ["implausible where the commitment is not of it", {}, { isCommitmentGood: false }, ["commitment"], true],
    [
      "implausible for all reasons at once",
      { isTextOfTokens: false, isEndRight: false },
      { promptTokens: 8, isCommitmentGood: false },
      ["end", "text", "prompt_tokens", "commitment"],
      true,
    ],
  ])("%s", (_what, report, claims, reasons, isGross) => {
    const verdict = judgeCheck({ ...reportOf(same(0, 16)), ...report }, { ...claimsOf(16), ...claims }, calibration);
    expect([verdict?.reasons, verdict?.isGross]).toEqual([reasons, isGross]);
  });
});

test("an end that the model would not have made is found by its place alone, however long the answer", () => {
  const findings = [...reportOf(same(0, 64)).findings, { position: 200, margin: 2.5, rank: 12 }];
  const claims = { ...claimsOf(64), positions: [...places(64), 200] };
  const verdict = judgeCheck({ ...reportOf([]), findings }, claims, calibration);
  expect(verdict).toMatchObject({
    outcome: "implausible",
    reasons: ["end_margin"],
    endMargin: 2.5,
    worstRank: 12,
    positions: 65,
  });
});

test.each<[what: string, report: CheckReport]>([
  ["leaves a place out", reportOf(same(0, 15))],
  ["has one too many", reportOf(same(0, 17))],
  ["names other places", { ...reportOf([]), findings: reportOf(same(0, 16)).findings.toReversed() }],
])("a report that %s is no verdict", (_what, report) => {
  expect(judgeCheck(report, claimsOf(16), calibration)).toBeUndefined();
});
