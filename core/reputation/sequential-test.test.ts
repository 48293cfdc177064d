import { describe, expect, test } from "vitest";
import { fastTest, honestRates, type SequentialTest, slowTest } from "./sequential-test.ts";

/** What one check shows, with its probability. */
type Showing = readonly [weight: number, probability: number];

/**
 * Checks until the threshold is reached, on average, from 0: Brook and Evans (1972), the evidence cut into steps of
 * `cell` nats. It is the sum over all checks of the probability that it is not reached yet; from some check on that
 * shrinks by the same factor each time, so that the rest of the sum is known.
 */
function averageRunLength(showings: readonly Showing[], { threshold }: SequentialTest): number {
  const cell = 0.005;
  const cells = Math.ceil(threshold / cell);
  let alive = new Float64Array(cells);
  alive[0] = 1;
  let [sum, before, left] = [0, 1, 1];
  for (let check = 0; check < 6_000; check += 1) {
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
    before = left;
    left = alive.reduce((total, each) => total + each, 0);
    if (left < 1e-9) return sum;
  }
  return sum + left / (1 - left / before);
}

const showings = (test: SequentialTest, { slight, gross }: { slight: number; gross: number }): Showing[] => [
  [test.valid, 1 - slight - gross],
  [test.slight, slight],
  [test.gross, gross],
];

describe("an honest node is wrongly found out", () => {
  test("once in 30,000 checks by the fast test, in 390,000 by the slow one, were its rates as bad as is supposed", () => {
    expect(averageRunLength(showings(fastTest, honestRates), fastTest)).toBeGreaterThan(30_000);
    expect(averageRunLength(showings(slowTest, honestRates), slowTest)).toBeGreaterThan(390_000);
  });

  test("once in three million checks at a tenth of those rates", () => {
    const rates = { slight: honestRates.slight / 10, gross: honestRates.gross / 10 };
    expect(averageRunLength(showings(fastTest, rates), fastTest)).toBeGreaterThan(3e6);
  });
});

test("one who cheats in 1 of 20 answers is found after 40 checks on average, in 1 of 100 after 250", () => {
  expect(averageRunLength(showings(fastTest, { slight: 0, gross: 0.05 }), fastTest)).toBeLessThan(41);
  expect(averageRunLength(showings(fastTest, { slight: 0, gross: 0.01 }), fastTest)).toBeLessThan(250);
});
