import { expect, test } from "vitest";
import { gumbelNoise, philox4x32 } from "./gumbel-noise.ts";

/** `kat_vectors` of Random123 (Salmon and others), Philox4x32 with ten rounds. */
test.each<[guarantee: string, counter: [number, number, number, number], key: [number, number], words: number[]]>([
  ["zeros", [0, 0, 0, 0], [0, 0], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
  [
    "ones",
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  ],
  [
    "digits of pi",
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xa4093822, 0x299f31d0],
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  ],
])("Philox4x32-10 gives the known answer for %s", (_name, counter, key, words) => {
  expect(philox4x32(counter, key)).toEqual(words);
});

test("noise has the mean and the variance of a standard Gumbel, and no place shares another's", () => {
  const draws = Array.from({ length: 40_000 }, (_, index) =>
    gumbelNoise({ seed: index % 7, position: Math.floor(index / 700), tokenId: index % 700 }),
  );
  const mean = draws.reduce((sum, draw) => sum + draw, 0) / draws.length;
  const variance = draws.reduce((sum, draw) => sum + (draw - mean) ** 2, 0) / draws.length;
  // Euler's constant and π²/6; a standard error of the mean is 0.0064.
  expect(mean).toBeCloseTo(0.5772, 1);
  expect(variance).toBeCloseTo(1.645, 1);
  expect(gumbelNoise({ seed: 1, position: 2, tokenId: 3 })).not.toBe(gumbelNoise({ seed: 1, position: 3, tokenId: 2 }));
  expect(gumbelNoise({ seed: 2, position: 1, tokenId: 3 })).not.toBe(gumbelNoise({ seed: 1, position: 2, tokenId: 3 }));
});
