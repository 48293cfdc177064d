import { expect, test } from "vitest";
import { fastTest, honestRates, type SequentialTest, slowTest } from "./sequential-test.ts";

/** What one check shows, with its probability. */
type Showing = readonly [weight: number, probability: number];

/**
 * Checks until the threshold is reached, on average, from 0: Brook and Evans (1972), the evidence cut into small steps. It is the sum over all checks of the probability that it is not reached yet; from some check on that
 * shrinks by the same factor each time, so that the rest of the sum is known.
 */
function averageRunLength(showings: readonly Showing[], { valid, threshold }: SequentialTest): number {
  // A valid check is a whole number of steps, or its rounding would add up.
  const cell = -valid / Math.ceil(-valid / 0.01);
  const cells = Math.ceil(threshold / cell);
  let alive = new Float64Array(cells);
  alive[0] = 1;
  let [sum, left, factor] = [0, 1, 0];
  for (let check = 0; check < 3_000; check += 1) {
    sum += left;
    const next = new Float64Array(cells);
    for (const [weight, probability] of showings) {
      const step = Math.round(weight / cell);
      for (let from = 0; from < cells; from += 1) {
        const to = Math.max(0, from + step);
        if (to < cells) next[to] = (next[to] ?? 0) + (alive[from] ?? 0) * probability;
      }
    }
    alive = next;
    const before = left;
    left = alive.reduce((total, each) => total + each, 0);
    if (left < 1e-9) return sum;
    const settled = Math.abs(left / before - factor);
    factor = left / before;
    // What is left to sum is 1 / (1 − factor): so exactly must the factor be known.
    if (check > 200 && settled < 1e-5 * (1 - factor)) break;
  }
  return sum + left / (1 - factor);
}

const showings = (test: SequentialTest, { slight, gross }: { slight: number; gross: number }): Showing[] => [
  [test.valid, 1 - slight - gross],
  [test.slight, slight],
  [test.gross, gross],
];

const lengthFor = (test: SequentialTest, rates: { slight: number; gross: number }) =>
  averageRunLength(showings(test, rates), test);

test.each<[what: string, rates: { slight: number; gross: number }, fast: number, slow: number]>([
  ["were its rates as bad as is supposed", honestRates, 33_000, 8_700_000],
  ["at the goal of 1 in 1,000 that thresholds are made for", { slight: 1e-3, gross: 1e-5 }, 28_000_000, 4e9],
])("an honest node is wrongly found out once in so many checks %s", (_what, rates, fast, slow) => {
  expect(lengthFor(fastTest, rates)).toBeGreaterThan(fast);
  expect(lengthFor(slowTest, rates)).toBeGreaterThan(slow);
});

test.each<[what: string, rates: { slight: number; gross: number }, checks: number]>([
  ["in 1 of 20 answers, grossly", { slight: 0, gross: 0.05 }, 41],
  ["in 1 of 20 answers, slightly", { slight: 0.05, gross: 0 }, 185],
  ["in 1 of 5 answers, slightly", { slight: 0.2, gross: 0 }, 30],
  ["in 1 of 100 answers, grossly", { slight: 0, gross: 0.01 }, 250],
])("one who cheats %s is found after so many checks on average", (_what, rates, checks) => {
  expect(lengthFor(fastTest, rates)).toBeLessThan(checks);
});

test("two gross failures with 98 valid checks between them are found; one is not, nor with a slight one", () => {
  expect(2 * fastTest.gross + 98 * fastTest.valid).toBeGreaterThan(fastTest.threshold);
  expect(fastTest.gross + fastTest.slight).toBeLessThan(fastTest.threshold);
  expect(fastTest.gross + 2 * fastTest.slight).toBeGreaterThan(fastTest.threshold);
});
