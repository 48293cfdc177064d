import { expect, test } from "vitest";
import { modelHashSchema } from "../ids.ts";
import { embeddingCalibrationOf } from "./calibration.ts";
import { judgeVectors } from "./judge-vectors.ts";

const calibration = embeddingCalibrationOf(modelHashSchema.parse("0".repeat(64)));
const vector = (...values: number[]) => Float32Array.from(values);
const at = (degrees: number) => vector(Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180));

test.each<[what: string, claimed: Float32Array[], again: Float32Array[], found: string]>([
  ["the same vectors are plausible", [at(0), at(50)], [at(0), at(50)], "plausible"],
  ["length does not count", [vector(3, 0)], [vector(1, 0)], "plausible"],
  ["a small turn is plausible", [at(0)], [at(2)], "plausible"],
  ["the worst pair decides", [at(0), at(0)], [at(0), at(4)], "implausible"],
  ["another direction is gross", [at(0)], [at(30)], "gross"],
  ["nothing at all is gross", [vector(0, 0)], [at(0)], "gross"],
  ["what is no number is gross", [vector(Number.NaN, 1)], [at(0)], "gross"],
  ["a claim of no vectors for none is plausible", [], [], "plausible"],
])("%s", (_what, claimed, again, found) => {
  const verdict = judgeVectors(claimed, again, calibration);
  expect(verdict?.isGross ? "gross" : verdict?.outcome).toBe(found);
  expect(verdict?.reasons).toEqual(found === "plausible" ? [] : ["vectors"]);
});

test.each<[what: string, claimed: Float32Array[], again: Float32Array[]]>([
  ["fewer vectors", [at(0), at(1)], [at(0)]],
  ["vectors of another length", [at(0)], [vector(1, 0, 0)]],
  ["no numbers", [at(0)], [vector(Number.NaN, 0)]],
])("a validator that gives %s has failed", (_what, claimed, again) => {
  expect(judgeVectors(claimed, again, calibration)).toBeUndefined();
});
