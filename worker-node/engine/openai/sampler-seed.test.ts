import { expect, test } from "vitest";
import { samplerSeed } from "./sampler-seed.ts";

test("no seed means 'draw one' to llama.cpp", () => {
  expect(samplerSeed({ seed: 0xffff_ffff, position: 0 })).not.toBe(0xffff_ffff);
  expect(samplerSeed({ seed: 0, position: 0 })).toBe(0);
});

test("a continued answer draws from a seed of its position, never from the first tokens' seed again", () => {
  const seeds = [0, 1, 2, 3, 1_000].map((position) => samplerSeed({ seed: 5, position }));
  expect(seeds[0]).toBe(5);
  expect(new Set(seeds).size).toBe(seeds.length);
  for (const seed of [0, 5, 0xffff_ffff]) {
    const continued = samplerSeed({ seed, position: 7 });
    expect(continued).toBe(samplerSeed({ seed, position: 7 }));
    expect(Number.isInteger(continued) && continued >= 0 && continued < 0xffff_ffff).toBe(true);
  }
});
