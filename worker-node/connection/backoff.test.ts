import { expect, test } from "vitest";
import { backoffMs, suspensionWaitMs } from "./backoff.ts";

test.each<[guarantee: string, failures: number, isBusy: boolean, random: number, expectedMs: number]>([
  ["the first dial after a loss may come at once", 0, false, 0, 0],
  ["it comes within 100 ms", 0, false, 1, 100],
  ["the second comes soon", 1, false, 0, 125],
  ["the wait doubles", 2, false, 1, 500],
  ["the wait has a bound", 40, false, 1, 15_000],
  ["at the bound the draw still spreads a fleet", 40, false, 0, 7_500],
  ["while answers run the next dials come every quarter second at most", 4, true, 1, 250],
  ["and not more often than every 150 ms", 12, true, 0, 150],
  ["a router that stays away is not dialled like that for ever", 40, true, 1, 15_000],
])("%s", (_guarantee, failures, isBusy, random, expectedMs) => {
  expect(backoffMs(failures, { isBusy, random: () => random })).toBe(expectedMs);
});

test("a suspended node asks about once a minute, and no two of them together", () => {
  expect([0, 0.5, 1].map((random) => suspensionWaitMs(() => random))).toEqual([45_000, 60_000, 75_000]);
});
