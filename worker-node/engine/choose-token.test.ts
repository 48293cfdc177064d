import { expect, test } from "vitest";
import { greedy } from "./ask-engine.fixture.ts";
import { type Candidate, candidateTokens, chooseToken, drawAt } from "./choose-token.ts";

const candidates: readonly Candidate[] = [
  [4, 1],
  [7, 3],
  [9, 2],
];
const none = new Map<number, number>();

/** How often each of the candidates is drawn over so many positions. */
function shares(
  given: readonly Candidate[],
  sampling: Partial<typeof greedy>,
  counts: ReadonlyMap<number, number> = none,
): Map<number, number> {
  const positions = 20_000;
  const found = new Map<number, number>();
  for (let position = 0; position < positions; position += 1) {
    const id = chooseToken(given, { sampling: { ...greedy, ...sampling }, counts, position }) ?? -1;
    found.set(id, (found.get(id) ?? 0) + 1 / positions);
  }
  return found;
}

test("temperature 0 takes the likeliest, the lower id of two alike, and nothing of nothing", () => {
  const by = { sampling: greedy, counts: none, position: 0 };
  expect(chooseToken(candidates, by)).toBe(7);
  expect(chooseToken([...candidates, [5, 3]], by)).toBe(5);
  expect(chooseToken([], by)).toBeUndefined();
});

test("a bias of -100 forbids and one of 100 forces", () => {
  const by = { counts: none, position: 0 };
  expect(chooseToken(candidates, { ...by, sampling: { ...greedy, logitBias: [[7, -100]] } })).toBe(9);
  expect(chooseToken(candidates, { ...by, sampling: { ...greedy, logitBias: [[4, 100]] } })).toBe(4);
});

test("the frequency penalty grows with each time that a token came, the presence penalty does not", () => {
  const chosen = (sampling: Partial<typeof greedy>, count: number) =>
    chooseToken(candidates, { sampling: { ...greedy, ...sampling }, counts: new Map([[7, count]]), position: 0 });
  expect(chosen({ frequencyPenalty: 0.4 }, 2)).toBe(7);
  expect(chosen({ frequencyPenalty: 0.4 }, 3)).toBe(9);
  expect(chosen({ presencePenalty: 0.9 }, 50)).toBe(7);
  expect(chosen({ presencePenalty: 1.1 }, 1)).toBe(9);
});

test("draws follow the probabilities at the temperature", () => {
  for (const temperature of [0.5, 1, 2]) {
    const weights = candidates.map(([, logit]) => Math.exp(logit / temperature));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const found = shares(candidates, { temperature });
    for (const [place, [id]] of candidates.entries()) {
      expect(Math.abs((found.get(id) ?? 0) - (weights[place] ?? 0) / total)).toBeLessThan(0.015);
    }
  }
});

test("top-p keeps the likeliest whose shares reach it, before the temperature", () => {
  // Shares .665, .245, .090.
  expect([...shares(candidates, { temperature: 2, topP: 0.6 }).keys()]).toEqual([7]);
  expect([...shares(candidates, { temperature: 2, topP: 0.7 }).keys()].sort()).toEqual([7, 9]);
  expect([...shares(candidates, { temperature: 2, topP: 0.95 }).keys()].sort()).toEqual([4, 7, 9]);
});

test("beyond the candidates that are kept nothing is drawn", () => {
  const many = Array.from({ length: candidateTokens + 500 }, (_, id): Candidate => [id, id < 500 ? -1 : 0]);
  expect([...shares(many, { temperature: 1 }).keys()].every((id) => id >= 500)).toBe(true);
});

test("a draw is a function of seed and position, and even", () => {
  expect(drawAt(7, 3)).toBe(drawAt(7, 3));
  const draws = Array.from({ length: 10_000 }, (_, position) => drawAt(0xffff_ffff, position));
  expect(new Set(draws).size).toBe(10_000);
  expect(draws.every((draw) => draw >= 0 && draw < 1)).toBe(true);
  for (let tenth = 0; tenth < 10; tenth += 1) {
    const share = draws.filter((draw) => Math.floor(draw * 10) === tenth).length / 10_000;
    expect(Math.abs(share - 0.1)).toBeLessThan(0.015);
  }
  expect(drawAt(1, 0)).not.toBe(drawAt(2, 0));
});
