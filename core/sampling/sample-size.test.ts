import { expect, test } from "vitest";
import { seededRandom } from "../testing/seeded-random.ts";
import { sampleSize } from "./sample-size.ts";

test.each<[what: string, share: number, error: number, population: number | null, size: number]>([
  ["the textbook's 385 of an endless population", 0.5, 0.05, null, 384.16],
  ["370 of ten thousand", 0.5, 0.05, 10_000, 369.98],
  ["all of one", 0.5, 0.05, 1, 1],
  ["nearly all of a hundred, to within 1 %", 0.5, 0.01, 100, 98.98],
  ["38 for a rate of 1 in 1,000 to within 1 %", 0.001, 0.01, null, 38.38],
  ["none where the share is certain", 0, 0.01, 100, 0],
])("%s", (_what, share, error, population, size) => {
  expect(sampleSize({ share, error, z: 1.96, population })).toBeCloseTo(size, 2);
});

test("it is never below 0 nor more than the population, and grows with both uncertainty and population", () => {
  const random = seededRandom(3);
  for (let round = 0; round < 2_000; round += 1) {
    const wish = { share: random() / 2, error: 0.001 + random() / 10, z: 1.96, population: 1 + random() * 1e5 };
    const size = sampleSize(wish);
    expect(size).toBeGreaterThanOrEqual(0);
    expect(size).toBeLessThanOrEqual(wish.population);
    expect(sampleSize({ ...wish, share: wish.share * 0.9 })).toBeLessThanOrEqual(size);
    expect(sampleSize({ ...wish, population: wish.population * 2 })).toBeGreaterThanOrEqual(size);
    expect(sampleSize({ ...wish, population: null })).toBeGreaterThanOrEqual(size * (1 - 1e-12));
  }
});
