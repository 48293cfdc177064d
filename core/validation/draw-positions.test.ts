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
  [256, true, 33],
  [257, false, 33],
  [131_072, false, 16_384],
])("of %i tokens (ended by the model: %s) it looks at %i places", (tokens, endsByModel, wanted) => {
  for (let round = 0; round < 20; round += 1) {
    const positions = drawPositions(tokens, { endsByModel, random });
    expect(positions).toHaveLength(wanted);
    expect(positions.every((position, index) => position > (positions[index - 1] ?? -1))).toBe(true);
    expect(positions.at(-1) ?? 0).toBeLessThanOrEqual(endsByModel ? tokens : Math.max(0, tokens - 1));
    expect(positions.includes(tokens)).toBe(endsByModel);
  }
});

test("every place of an answer is looked at as often as every other", () => {
  const [tokens, rounds] = [100, 20_000];
  const seen = new Array<number>(tokens).fill(0);
  for (let round = 0; round < rounds; round += 1) {
    for (const position of drawPositions(tokens, { endsByModel: false, random }))
      seen[position] = (seen[position] ?? 0) + 1;
  }
  // One of the 3 or 4 of its stretch, to within five standard deviations (0.0032 each).
  for (const times of seen) {
    expect(times / rounds).toBeGreaterThan(1 / 4 - 0.016);
    expect(times / rounds).toBeLessThan(1 / 3 + 0.016);
  }
});

test("16 places in a row do not go unseen in an answer of any length", () => {
  for (const tokens of [256, 1_000, 4_097]) {
    const positions = drawPositions(tokens, { endsByModel: false, random });
    const gaps = positions.map((position, index) => position - (positions[index - 1] ?? -1));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(16);
  }
});
