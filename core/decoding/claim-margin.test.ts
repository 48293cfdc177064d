import { expect, test } from "vitest";
import { chooseToken } from "./choose-token.ts";
import { claimMargin, mostMargin } from "./claim-margin.ts";
import { type Candidate, type DecodingRules, rankCandidates } from "./ranked-candidates.ts";

const greedy: DecodingRules = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, seed: 1 };
const first = { counts: new Map<number, number>(), position: 0 };
/** Shares .622, .229, .084, .051, .014. */
const candidates: readonly Candidate[] = [
  [7, 3],
  [9, 2],
  [4, 1],
  [5, 0.5],
  [6, -0.8],
];

test.each<[guarantee: string, claimed: number[], rules: Partial<DecodingRules>, margin: number, rank: number]>([
  ["the choice has no margin", [7], {}, 0, 0],
  ["the next falls short by their difference", [9], {}, 1, 1],
  ["the last by more", [6], {}, 3.8, 4],
  ["one that is no candidate has the greatest margin", [8], {}, mostMargin, 5],
  ["a bias counts", [9], { logitBias: [[9, 0.75]] }, 0.25, 1],
  ["a margin is never more than the greatest", [6], { logitBias: [[7, 20]] }, mostMargin, 4],
  ["of several claimed the best counts", [6, 9, 8], {}, 1, 1],
  ["and of none there is nothing to count", [], {}, mostMargin, 5],
  ["a token that top-k shut out falls short of the last one let in, too", [4], { topK: 2 }, 2 + 1, 2],
  ["one that top-p shut out of what the likelier must lose", [9], { topP: 0.5 }, 1 + Math.log(0.62202 / 0.37798), 1],
  ["and one that min-p shut out of its bound", [4], { minP: 0.3 }, 2 + Math.log(0.3) + 2, 1],
])("%s", (_guarantee, claimed, rules, margin, rank) => {
  const found = claimMargin(claimed, candidates, { ...greedy, ...rules }, first);
  expect(found).toEqual({ margin: expect.closeTo(margin, 4), rank });
});

test("penalties count what came before", () => {
  const place = { counts: new Map([[7, 2]]), position: 2 };
  const rules = { ...greedy, frequencyPenalty: 0.4, presencePenalty: 0.5 };
  expect(claimMargin([7], candidates, rules, place)).toEqual({ margin: expect.closeTo(0.3, 10), rank: 1 });
});

test("with noise the choice at every position has no margin, and all others have one: what their scores fall short by", () => {
  for (let position = 0; position < 500; position += 1) {
    const rules = { ...greedy, temperature: 1.3, seed: 77 };
    const place = { ...first, position };
    const choice = chooseToken(candidates, rules, place);
    const scores = new Map(rankCandidates(candidates, rules, place).kept.map((each) => [each.tokenId, each.score]));
    const best = Math.max(...scores.values());
    for (const [id] of candidates) {
      const { margin, rank } = claimMargin([id], candidates, rules, place);
      expect(margin).toBeCloseTo(Math.min(mostMargin, best - (scores.get(id) ?? 0)), 10);
      expect(rank === 0).toBe(id === choice);
    }
  }
});

test("a candidate that rounding may have shut out speaks against nobody; one that is clear of the border does", () => {
  const rules = { ...greedy, temperature: 1, topK: 2 };
  const worst = (border: number) => {
    const close: Candidate[] = [
      [7, 3],
      [9, 2.9],
      [4, border],
    ];
    const places = Array.from({ length: 200 }, (_, position) => ({ ...first, position }));
    expect(places.some((place) => chooseToken(close, rules, place) === 9)).toBe(true);
    return Math.max(...places.map((place) => claimMargin([7], close, rules, place).margin));
  };
  expect(worst(2.8)).toBe(0);
  expect(worst(2.6)).toBeGreaterThan(1);
});

test("where the likeliest all but reaches top-p, what comes after it has hardly any margin for being shut out", () => {
  const rules = { ...greedy, temperature: 0.7, topP: 0.9 };
  // The likeliest has a share of 0.9002.
  const near: readonly Candidate[] = [
    [1, 10],
    [2, 10 + Math.log(0.09 / 0.9)],
    [3, 10 + Math.log(0.0098 / 0.9)],
  ];
  const margins = Array.from({ length: 2_000 }, (_, position) => {
    const place = { ...first, position };
    const { kept } = rankCandidates(near, { ...rules, topP: 0.91 }, place);
    // Another machine saw 0.8998 and let the second in, which then had the highest score.
    const choice = kept.toSorted((one, other) => other.score - one.score)[0]?.tokenId ?? 0;
    expect(kept).toHaveLength(2);
    return claimMargin([choice], near, rules, place).margin;
  });
  expect(margins.filter((margin) => margin > 0).length).toBeGreaterThan(10);
  expect(Math.max(...margins)).toBeLessThan(0.03);
  // The control: a token far outside has a margin, whatever its noise.
  const far = Array.from(
    { length: 300 },
    (_, position) => claimMargin([3], near, rules, { ...first, position }).margin,
  );
  expect(Math.min(...far)).toBeGreaterThan(1);
});

test.each<[rule: string, rules: Partial<DecodingRules>]>([
  ["top-k of one", { topK: 1 }],
  ["a top-p of next to nothing", { topP: 2.2e-16 }],
  ["a low top-p", { topP: 0.3 }],
  ["a min-p of 1", { minP: 1 }],
])("two that are all but alike: which of them %s leaves is nobody's fault, whatever their noise", (_rule, some) => {
  const rules = { ...greedy, temperature: 1, ...some };
  const theirs: readonly Candidate[] = [[1, 10], [2, 9.995], [3, 5]]; // biome-ignore format: one line
  const ours: readonly Candidate[] = [[1, 9.997], [2, 9.998], [3, 5]]; // biome-ignore format: one line
  for (let position = 0; position < 300; position++) {
    const place = { ...first, position };
    const choice = chooseToken(theirs, rules, place) ?? 0;
    expect(claimMargin([choice], ours, rules, place).margin).toBeLessThan(0.01);
    // The control: one that is far off has a margin.
    expect(claimMargin([3], ours, rules, place).margin).toBeGreaterThan(2);
  }
});
