import { expect, test } from "vitest";
import { chooseToken } from "./choose-token.ts";
import { type Candidate, candidateTokens, type DecodingRules } from "./ranked-candidates.ts";

const greedy: DecodingRules = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, seed: 1 };
const candidates: readonly Candidate[] = [
  [4, 1],
  [7, 3],
  [9, 2],
];
const first = { counts: new Map<number, number>(), position: 0 };

/** How often each of the candidates is drawn over so many positions. */
function drawn(given: readonly Candidate[], rules: Partial<DecodingRules>, positions = 20_000): Map<number, number> {
  const found = new Map<number, number>();
  for (let position = 0; position < positions; position += 1) {
    const id = chooseToken(given, { ...greedy, ...rules }, { ...first, position }) ?? -1;
    found.set(id, (found.get(id) ?? 0) + 1);
  }
  return found;
}

test("temperature 0 takes the likeliest, the lower id of two alike, and nothing of nothing", () => {
  expect(chooseToken(candidates, greedy, first)).toBe(7);
  expect(chooseToken([...candidates, [5, 3]], greedy, first)).toBe(5);
  expect(chooseToken([], greedy, first)).toBeUndefined();
});

test("a bias of -100 forbids and one of 100 forces", () => {
  expect(chooseToken(candidates, { ...greedy, logitBias: [[7, -100]] }, first)).toBe(9);
  expect(chooseToken(candidates, { ...greedy, logitBias: [[4, 100]] }, first)).toBe(4);
});

test("the frequency penalty grows with each time that a token came, the presence penalty does not", () => {
  const chosen = (rules: Partial<DecodingRules>, count: number) =>
    chooseToken(candidates, { ...greedy, ...rules }, { counts: new Map([[7, count]]), position: 0 });
  expect(chosen({ frequencyPenalty: 0.4 }, 2)).toBe(7);
  expect(chosen({ frequencyPenalty: 0.4 }, 3)).toBe(9);
  expect(chosen({ presencePenalty: 0.9 }, 50)).toBe(7);
  expect(chosen({ presencePenalty: 1.1 }, 1)).toBe(9);
});

/** The value that χ² of so many degrees of freedom exceeds once in a thousand. */
const chiSquareAtThousandth: Readonly<Record<number, number>> = { 2: 13.8, 7: 24.3, 63: 103.4 };

test.each([
  ["three tokens at temperature 0.5", candidates, 0.5],
  ["three tokens at temperature 1", candidates, 1],
  ["three tokens at temperature 2", candidates, 2],
  ["eight tokens at temperature 0.8", Array.from({ length: 8 }, (_, id): Candidate => [id, -id / 3]), 0.8],
  ["64 tokens at temperature 1.5", Array.from({ length: 64 }, (_, id): Candidate => [500 * id, -id / 20]), 1.5],
])("draws follow the softmax of the logits over the temperature: %s", (_name, given, temperature) => {
  const draws = 15_000;
  const weights = given.map(([, logit]) => Math.exp(logit / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  for (const seed of [1, 0xffff_ffff]) {
    const found = drawn(given, { temperature, seed }, draws);
    const chiSquare = given.reduce((sum, [id], place) => {
      const expected = (draws * (weights[place] ?? 0)) / total;
      return sum + ((found.get(id) ?? 0) - expected) ** 2 / expected;
    }, 0);
    expect(chiSquare).toBeLessThan(chiSquareAtThousandth[given.length - 1] ?? 0);
  }
});

test.each<[guarantee: string, rules: Partial<DecodingRules>, ids: number[]]>([
  // Shares .665, .245, .090; beside the likeliest 1, .368, .135.
  ["top-p keeps the likeliest whose shares reach it, before the temperature", { topP: 0.6 }, [7]],
  ["and the one with which they do", { topP: 0.7 }, [7, 9]],
  ["and all where they don't before", { topP: 0.95 }, [4, 7, 9]],
  ["top-k keeps so many", { topK: 2 }, [7, 9]],
  ["top-p counts shares of what top-k left", { topK: 2, topP: 0.74 }, [7, 9]],
  ["and not of all", { topK: 2, topP: 0.73 }, [7]],
  ["min-p keeps those at least so likely beside the likeliest", { minP: 0.2 }, [7, 9]],
  ["min-p 1 keeps the likeliest", { minP: 1 }, [7]],
])("%s", (_guarantee, rules, ids) => {
  const found = [...drawn(candidates, { temperature: 2, ...rules }, 2_000).keys()];
  expect(found.sort((one, other) => one - other)).toEqual(ids);
});

test("beyond the likeliest 64 nothing is drawn", () => {
  const many = Array.from({ length: candidateTokens + 500 }, (_, id): Candidate => [id, id < 500 ? -0.001 : 0]);
  expect([...drawn(many, { temperature: 2 }, 2_000).keys()].every((id) => id >= 500)).toBe(true);
});
