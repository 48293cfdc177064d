import { expect, test } from "vitest";
import { seededRandom } from "../testing/seeded-random.ts";
import { borderDistances } from "./border-distance.ts";
import { type Candidate, type DecodingRules, rankCandidates } from "./ranked-candidates.ts";

type Rules = Pick<DecodingRules, "topK" | "topP" | "minP">;
/** Shares .622, .229, .084, .051, .014. */
const candidates: readonly Candidate[] = [
  [7, 3],
  [9, 2],
  [4, 1],
  [5, 0.5],
  [6, -0.8],
];
const odds = (share: number) => Math.log(share / (1 - share));
const [first, second, two] = [0.62202, 0.22883, 0.85085];

test.each<[guarantee: string, rules: Rules, distances: number[]]>([
  ["without rules all are inside, by any change", { topP: 1 }, [-Infinity, -Infinity, -Infinity, -Infinity, -Infinity]],
  ["top-k: as far as the logits on the other side", { topP: 1, topK: 2 }, [-2, -1, 1, 1.5, 2.8]],
  ["min-p: as far as the bound is from the logit", { topP: 1, minP: Math.exp(-1.4) }, [-2.4, -0.4, 0.6, 1.1, 2.4]],
  [
    "top-p: what is before it must lose less than a swap of places takes",
    { topP: 0.6 },
    [odds(second) - odds(0.6), odds(first) - odds(0.6), 1, odds(two) - odds(0.6), 1.8],
  ],
  [
    "top-p: a candidate that is just inside is nearer to the border than its neighbour's logit is",
    { topP: 0.63 },
    [odds(second) - odds(0.63), odds(first) - odds(0.63), 1, odds(two) - odds(0.63), 1.8],
  ],
])("%s", (_guarantee, rules, distances) => {
  const found = borderDistances(candidates, rules);
  expect(found).toEqual(distances.map((each) => (Number.isFinite(each) ? expect.closeTo(each, 2) : each)));
});

const rules = (random: () => number): DecodingRules => ({
  ...{ temperature: 0, frequencyPenalty: 0, presencePenalty: 0, seed: 1 },
  topP: random() < 0.2 ? 1 : 0.05 + 0.94 * random(),
  ...(random() < 0.5 ? { topK: 1 + Math.floor(20 * random()) } : {}),
  ...(random() < 0.5 ? { minP: 0.3 * random() } : {}),
});

test("whatever rounding does to each logit, none changes sides that is further from the border than twice that", () => {
  const random = seededRandom(11);
  const place = { counts: new Map<number, number>(), position: 0 };
  let moved = 0;
  for (let trial = 0; trial < 4_000; trial++) {
    const rule = rules(random);
    const logits = Array.from({ length: 40 }, (_, id): Candidate => [id, 6 * random()]);
    const rounding = 0.4 * random();
    const shaken = logits.map(([id, logit]): Candidate => [id, logit + rounding * (2 * random() - 1)]);
    const { adjusted, kept } = rankCandidates(logits, rule, place);
    const keptOf = (of: typeof kept) => new Set(of.map(({ tokenId }) => tokenId));
    const [before, after] = [keptOf(kept), keptOf(rankCandidates(shaken, rule, place).kept)];
    for (const [at, distance] of borderDistances(adjusted, rule).entries()) {
      const [id = -1] = adjusted[at] ?? [];
      if (distance !== 0) expect(before.has(id)).toBe(distance < 0);
      if (before.has(id) === after.has(id)) continue;
      moved++;
      expect(Math.abs(distance)).toBeLessThanOrEqual(2 * rounding + 1e-9);
    }
  }
  expect(moved).toBeGreaterThan(1_000);
});
