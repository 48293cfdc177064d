import { expect, test } from "vitest";
import { binomialAtMost, clopperPearson } from "./intervals.ts";

/** Known values, as R's `binom.test` gives them. */
test.each<[hits: number, trials: number, low: number, high: number]>([
  [0, 1_000, 0, 0.003682],
  [3, 3_000, 0.000206, 0.002919],
  [5, 10, 0.187086, 0.812914],
  [1_000, 1_000, 0.996318, 1],
  [0, 0, 0, 1],
])("%i of %i trials have the interval of Clopper and Pearson", (hits, trials, low, high) => {
  const interval = clopperPearson({ hits, trials });
  expect(interval.low).toBeCloseTo(low, 5);
  expect(interval.high).toBeCloseTo(high, 5);
});

test("the sum of a binomial distribution is right at its ends", () => {
  expect(binomialAtMost({ hits: 10, trials: 10, share: 0.3 })).toBeCloseTo(1, 9);
  expect(binomialAtMost({ hits: 0, trials: 10, share: 0.3 })).toBeCloseTo(0.7 ** 10, 9);
});
