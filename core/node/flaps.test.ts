import { describe, expect, test } from "vitest";
import { type Flaps, isAside, noteLoss, steady } from "./flaps.ts";

const minuteMs = 60_000;

/** After losses at these times. */
function afterLosses(timesMs: readonly number[], from: Flaps = steady): Flaps {
  return timesMs.reduce(noteLoss, from);
}

/** Six losses, one a second, from a time on. */
const six = (fromMs: number) => [0, 1, 2, 3, 4, 5].map((second) => fromMs + second * 1_000);

describe("a node", () => {
  test("that loses its socket five times in a minute stays in its place", () => {
    expect(isAside(afterLosses(six(0).slice(0, 5)), 5_000)).toBe(false);
  });

  test("that loses it a sixth time is put aside for half a minute", () => {
    const flaps = afterLosses(six(0));
    expect(flaps.asideUntilMs).toBe(5_000 + 30_000);
    expect([isAside(flaps, 34_999), isAside(flaps, 35_000)]).toEqual([true, false]);
  });

  test("that loses it six times over a longer time stays in its place", () => {
    const slow = [0, 1, 2, 3, 4, 5].map((count) => count * 12_001);
    expect(isAside(afterLosses(slow), 60_006)).toBe(false);
  });

  test("is put aside twice as long each further time, up to ten minutes", () => {
    let flaps = steady;
    const lengths: number[] = [];
    for (let round = 0; round < 7; round += 1) {
      const beginMs = flaps.asideUntilMs + minuteMs;
      flaps = afterLosses(six(beginMs), flaps);
      lengths.push(flaps.asideUntilMs - (beginMs + 5_000));
    }
    expect(lengths).toEqual([30_000, 60_000, 120_000, 240_000, 480_000, 600_000, 600_000]);
  });

  test("is forgiven after an hour without trouble", () => {
    const once = afterLosses(six(0));
    const again = afterLosses(six(once.asideUntilMs + 3_600_000), once);
    expect(again.timesAside).toBe(1);
  });
});
