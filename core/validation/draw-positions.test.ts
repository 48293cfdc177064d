import { expect, test } from "vitest";
import { seededRandom } from "../testing/seeded-random.ts";
import { drawPositions } from "./draw-positions.ts";

const random = seededRandom(7);

test.each<[tokens: number, endsByModel: boolean, positions: number]>([
  [0, false, 0],
  [0, true, 1],
  [1, false, 1],
  [31, true, 32],
  [32, false, 32],
  [256, true, 40],
  [257, false, 40],
  [131_072, false, 16_391],
])("of %i tokens (ended by the model: %s) it looks at %i places", (tokens, endsByModel, wanted) => {
  for (let round = 0; round < 20; round += 1) {
    const positions = drawPositions(tokens, { endsByModel, random });
    expect(positions).toHaveLength(wanted);
    expect(positions.every((position, index) => position > (positions[index - 1] ?? -1))).toBe(true);
    expect(positions.at(-1) ?? 0).toBeLessThanOrEqual(endsByModel ? tokens : Math.max(0, tokens - 1));
    expect(positions.includes(tokens)).toBe(endsByModel);
    expect(positions.slice(0, 8)).toEqual([0, 1, 2, 3, 4, 5, 6, 7].slice(0, tokens + (endsByModel ? 1 : 0)));
  }
});

test("every place after the first eight is looked at as often as every other", () => {
  const [tokens, rounds] = [104, 20_000];
  const seen = new Array<number>(tokens).fill(0);
  for (let round = 0; round < rounds; round += 1) {
    for (const position of drawPositions(tokens, { endsByModel: false, random }))
      seen[position] = (seen[position] ?? 0) + 1;
  }
  expect(seen.slice(0, 8)).toEqual(Array(8).fill(rounds));
  // One of the 4 of its stretch, to within five standard deviations (0.0031 each).
  for (const times of seen.slice(8)) {
    expect(times / rounds).toBeGreaterThan(1 / 4 - 0.016);
    expect(times / rounds).toBeLessThan(1 / 4 + 0.016);
  }
});

test("16 places in a row do not go unseen in an answer of any length", () => {
  for (const tokens of [256, 1_000, 4_097]) {
    const positions = drawPositions(tokens, { endsByModel: false, random });
    const gaps = positions.map((position, index) => position - (positions[index - 1] ?? -1));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(16);
  }
});
