import { expect, test } from "vitest";
import { median, quantilesOf } from "./quantiles.ts";

test("quantiles are times that were measured, by the nearest rank", () => {
  const times = Array.from({ length: 1_000 }, (_, index) => 1_000 - index);
  expect(quantilesOf(times)).toEqual({ p50: 500, p90: 900, p99: 990, p999: 999, max: 1_000 });
  expect(quantilesOf([7])).toEqual({ p50: 7, p90: 7, p99: 7, p999: 7, max: 7 });
  expect(quantilesOf([])).toEqual({ p50: 0, p90: 0, p99: 0, p999: 0, max: 0 });
});

test.each<[numbers: number[], middle: number]>([
  [[3, 1, 2], 2],
  [[4, 1, 3, 2], 2.5],
  [[5], 5],
  [[], 0],
])("the median of %j is %d", (numbers, middle) => {
  expect(median(numbers)).toBe(middle);
});
