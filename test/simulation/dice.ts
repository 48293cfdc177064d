import { seededRandom } from "../../core/testing/seeded-random.ts";

/** Chance from a seed: the same throws in the same order at every run. */
export class Dice {
  /** From 0 up to 1. */
  readonly random: () => number;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  /** Dice of their own, so that what one part throws does not change what another gets. */
  fork(): Dice {
    return new Dice(Math.floor(this.random() * 0x1_0000_0000));
  }

  /** True with this probability. */
  isChance(probability: number): boolean {
    return this.random() < probability;
  }

  /** A whole number from `least` to `most`, both included. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.random() * (most - least + 1));
  }

  /** A waiting time with this mean, of events that do not know of each other. */
  exponential(mean: number): number {
    return -Math.log(1 - this.random()) * mean;
  }

  /** One of `items`, evenly; `undefined` for an empty list. */
  one<Item>(items: readonly Item[]): Item | undefined {
    return items[Math.floor(this.random() * items.length)];
  }

  /** A key of `shares`, each as often as its share says. */
  weighted<Key extends string>(shares: readonly (readonly [Key, number])[]): Key {
    const total = shares.reduce((sum, [, share]) => sum + share, 0);
    let left = this.random() * total;
    for (const [key, share] of shares) {
      left -= share;
      if (left < 0) return key;
    }
    throw new Error("there is no share to draw from");
  }
}
