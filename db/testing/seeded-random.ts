import { seededRandom as seededNumbers } from "../../core/testing/seeded-random.ts";

/**
 * A source of random choices that is the same for the same seed: `below(n)` gives integers from 0 to n − 1, `shuffled`
 * a copy of a list in random order.
 */
export function seededRandom(seed: number) {
  const next = seededNumbers(seed);
  const below = (bound: number): number => Math.floor(next() * bound);
  const shuffled = <Item>(items: readonly Item[]): Item[] =>
    items
      .map((item) => ({ item, order: next() }))
      .sort((left, right) => left.order - right.order)
      .map(({ item }) => item);
  return { below, shuffled };
}
export type SeededRandom = ReturnType<typeof seededRandom>;
