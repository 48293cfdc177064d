import { expect, test } from "vitest";
import { modelHashSchema } from "../ids.ts";
import { calibrationOf } from "./calibration.ts";
import { isPlausibleByCopy } from "./is-plausible-by-copy.ts";

/** Not measured: 0.2 from 32 positions on, 3 at the end. */
const calibration = calibrationOf(modelHashSchema.parse("0".repeat(64)));
const findings = (count: number, margin: number, end?: number) => [
  ...Array.from({ length: count }, (_, position) => ({ position, margin, rank: 0 })),
  ...(end === undefined ? [] : [{ position: count, margin: end, rank: 0 }]),
];

test.each<[guarantee: string, found: ReturnType<typeof findings>, answerTokens: number, isPlausible: boolean]>([
  ["no margin at all is plausible", findings(32, 0), 64, true],
  ["up to half of the bound a mean is believed", findings(32, 0.099), 64, true],
  ["between half and the whole the file is read", findings(32, 0.101), 64, false],
  ["and beyond it", findings(32, 2), 64, false],
  ["fewer positions have a wider bound", findings(16, 0.149), 16, true],
  ["an end is believed up to half of its bound", findings(63, 0, 1.4), 63, true],
  ["and not beyond that", findings(63, 0, 1.6), 63, false],
  ["where nothing was looked at there is nothing to read again", [], 0, true],
])("%s", (_guarantee, found, answerTokens, isPlausible) => {
  expect(isPlausibleByCopy(found, { answerTokens, calibration })).toBe(isPlausible);
});
