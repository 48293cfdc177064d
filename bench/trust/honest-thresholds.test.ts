import { expect, test } from "vitest";
import { calibrationSchema } from "../../core/validation/calibration.ts";
import { honestThresholds } from "./honest-thresholds.ts";
import { seededRandom } from "./seeded-random.ts";
import type { TrialRow } from "./trial-row.ts";

const random = seededRandom(1);
/** One margin in fifty is up to 0.4, the others are none. */
const trial = (positions: number): TrialRow => ({
  ...{ adversary: "honest", sampling: "T=1", promptId: "calibration-0000", seed: 1, maker: "usual", checker: "usual" },
  ...{ tokens: 64, finishReason: "length", promptTokens: 9, checkedPromptTokens: 9, isTextOfTokens: true },
  ...{ isEndRight: true, suspicions: [], checkMs: 1, ranks: [] },
  positions: Array.from({ length: positions }, (_, at) => at),
  margins: Array.from({ length: positions }, () => (random() < 0.02 ? random() * 0.4 : 0)),
});

test("a single honest answer that is far off moves no bound", () => {
  const rows = Array.from({ length: 1_000 }, () => trial(16));
  const far = { ...trial(16), margins: [5, ...Array.from({ length: 15 }, () => 0)] };
  const [without, withIt] = [honestThresholds(rows), honestThresholds([...rows, far])];
  for (const [at, { meanMargin }] of withIt.thresholds.entries()) {
    expect(meanMargin / (without.thresholds[at]?.meanMargin ?? 0)).toBeLessThan(1.15);
  }
  expect(withIt).toMatchObject({ falseAlarms: 1, honestMaximum: 0.3125 });
});

test("more positions have a tighter bound, and no honest trial is beyond it", () => {
  const found = honestThresholds(Array.from({ length: 500 }, () => trial(16)));
  const bounds = found.thresholds.map(({ meanMargin }) => meanMargin);
  expect(bounds).toEqual(bounds.toSorted((one, other) => other - one));
  expect(bounds[0]).toBeGreaterThan(3 * (bounds[2] ?? 0));
  expect(found).toMatchObject({ trials: 500, falseAlarms: 0 });
  expect(found.falseAlarmRateBound).toBeCloseTo(0.006, 3);
  expect(found.honestMaximum).toBeLessThan(bounds[2] ?? 0);
});

test("what comes of it fits the catalogue's schema, even where no margin was seen at all", () => {
  const none = honestThresholds([{ ...trial(16), margins: Array.from({ length: 16 }, () => 0) }]);
  const rest = { model: "0".repeat(64), backend: "llama.cpp, cpu", isMeasured: true, measuredOn: "2026-11-28" };
  expect(() => calibrationSchema.parse({ ...rest, provenance: "a test", ...none })).not.toThrow();
});
