import { expect, test } from "vitest";
import { areCandidatesEnough } from "./are-candidates-enough.ts";
import { type Candidate, type DecodingRules, rankCandidates } from "./ranked-candidates.ts";

const rules: DecodingRules = { temperature: 1, topP: 1, frequencyPenalty: 0, presencePenalty: 0, seed: 1 };
const none = new Map<number, number>();
/** Tokens 0, 1, 2 … with logits 0, −0.1, −0.2 … */
const falling = (length: number) => Array.from({ length }, (_, id): Candidate => [id, -id / 10]);

test("candidates come likeliest first, the lower id first of two alike, whatever order they are given in", () => {
  const given: Candidate[] = [[9, 1], [3, 2], [5, 1], [1, 0]]; // biome-ignore format: one line
  const ids = (candidates: readonly Candidate[]) =>
    rankCandidates(candidates, rules, { counts: none, position: 0 }).adjusted.map(([id]) => id);
  expect(ids(given)).toEqual([3, 5, 9, 1]);
  expect(ids(given.toReversed())).toEqual([3, 5, 9, 1]);
});

test("bias and penalties move a token before the likeliest are taken", () => {
  const place = { counts: new Map([[0, 2]]), position: 0 };
  const { kept } = rankCandidates(
    falling(70),
    { ...rules, frequencyPenalty: 2, presencePenalty: 3, logitBias: [[69, 6.9]] },
    place,
  );
  expect(kept[0]).toMatchObject({ tokenId: 69, logit: expect.closeTo(0) });
  expect(kept.map(({ tokenId }) => tokenId)).not.toContain(0);
  expect(kept).toHaveLength(64);
});

test("noise is weighed by the temperature, and there is none at 0", () => {
  const scores = (temperature: number) =>
    rankCandidates(falling(3), { ...rules, temperature }, { counts: none, position: 4 }).kept;
  for (const { logit, score } of scores(0)) expect(score).toBe(logit);
  const [one, two] = [scores(1), scores(2)];
  for (const [index, { logit, score }] of one.entries()) {
    expect((two[index]?.score ?? 0) - logit).toBeCloseTo(2 * (score - logit));
  }
});

test.each<[guarantee: string, read: number, given: Partial<DecodingRules>, isEnough: boolean]>([
  ["64 above the last one read are enough", 65, {}, true],
  ["64 of which the last may be as likely as one not read are not", 64, {}, false],
  ["top-k needs as many", 6, { topK: 5 }, true],
  ["and no fewer", 5, { topK: 5 }, false],
  ["temperature 0 needs the likeliest", 2, { temperature: 0 }, true],
  ["and one more to know that it is", 1, { temperature: 0 }, false],
  ["a token that a bias sank below those read is none of them", 65, { logitBias: [[3, -100]] }, false],
  ["but one more makes up for it", 66, { logitBias: [[3, -100]] }, true],
])("%s", (_guarantee, read, given, isEnough) => {
  const by = { rules: { ...rules, ...given }, counts: none, leastRead: -(read - 1) / 10 };
  expect(areCandidatesEnough(falling(read), by)).toBe(isEnough);
});

test("all that there are are enough, and masked ones are missed", () => {
  const by = { rules, counts: none };
  expect(areCandidatesEnough(falling(3), { ...by, leastRead: Number.NEGATIVE_INFINITY })).toBe(true);
  const even = falling(100).filter(([id]) => id % 2 === 0);
  expect(areCandidatesEnough(even, { ...by, leastRead: -9.9 })).toBe(false);
});
