import { expect, test } from "vitest";
import { backoffMs } from "./backoff.ts";

test.each<[guarantee: string, failures: number, random: number, expectedMs: number]>([
  ["the first dial after a loss comes soon", 0, 0, 125],
  ["the wait doubles", 1, 1, 500],
  ["the wait has a bound", 40, 1, 15_000],
  ["at the bound the draw still spreads a fleet", 40, 0, 7_500],
])("%s", (_guarantee, failures, random, expectedMs) => {
  expect(backoffMs(failures, () => random)).toBe(expectedMs);
});
