import { expect, test } from "vitest";
import { countOfLastMinute, countOne, emptyMinuteCount } from "./minute-count.ts";

test.each<[guarantee: string, atMs: number[], nowMs: number, count: number]>([
  ["nothing happened yet", [], 0, 0],
  ["all within the minute counts", [0, 10_000, 59_999], 59_999, 3],
  ["what is older than a minute does not", [0, 30_000], 60_000, 1],
  ["what is much older does not either", [0, 30_000], 900_000, 0],
  ["a clock that goes back loses nothing", [100_000, 70_000], 100_000, 2],
  ["a pause empties only what has passed", [1_000_000, 1_040_000], 1_061_000, 1],
])("%s", (_guarantee, atMs, nowMs, expected) => {
  const count = emptyMinuteCount();
  for (const each of atMs) countOne(count, each);
  expect(countOfLastMinute(count, nowMs)).toBe(expected);
});
