import { expect, test } from "vitest";
import { modelHashSchema } from "../ids.ts";
import {
  calibrationOf,
  calibrationSchema,
  embeddingCalibrationOf,
  embeddingCalibrationSchema,
  thresholdFor,
} from "./calibration.ts";
import { calibrations } from "./calibrations.ts";

const unknown = modelHashSchema.parse("0".repeat(64));

test("a model that was not measured has defaults that say so and fit the schemas", () => {
  expect(calibrationSchema.parse(calibrationOf(unknown))).toMatchObject({
    model: unknown,
    isMeasured: false,
    trials: 0,
  });
  expect(embeddingCalibrationSchema.parse(embeddingCalibrationOf(unknown))).toMatchObject({ isMeasured: false });
});

test("by default an honest mean of the measured models has ten times the room, another quantisation has none", () => {
  expect(thresholdFor(calibrationOf(unknown), 64)).toBeGreaterThan(10 * 0.008);
  expect(thresholdFor(calibrationOf(unknown), 64)).toBeLessThan(0.3);
});

test("what was measured fits the schemas, is ascending, and was measured", () => {
  for (const each of calibrations.chat) {
    const { thresholds, trials, isMeasured, grossMeanMargin } = calibrationSchema.parse(each);
    const from = thresholds.map(({ fromPositions }) => fromPositions);
    expect(from).toEqual([...new Set(from)].toSorted((left, right) => left - right));
    expect(from[0]).toBe(1);
    expect(isMeasured && trials > 0).toBe(true);
    expect(grossMeanMargin).toBeGreaterThanOrEqual(thresholds.at(-1)?.meanMargin ?? 0);
  }
  for (const each of calibrations.embedding) {
    const { leastCosine, grossCosine, trials } = embeddingCalibrationSchema.parse(each);
    expect(leastCosine).toBeGreaterThanOrEqual(grossCosine);
    expect(trials).toBeGreaterThan(0);
  }
});

test.each([
  [1, 2],
  [3, 2],
  [4, 0.8],
  [16, 0.3],
  [31, 0.3],
  [32, 0.2],
  [64, 0.16],
  [9_999, 0.16],
])("at %i places the default threshold is %d", (positions, threshold) => {
  expect(thresholdFor(calibrationOf(unknown), positions)).toBe(threshold);
});
