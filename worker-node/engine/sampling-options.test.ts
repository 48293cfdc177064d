import type { Token } from "node-llama-cpp";
import { expect, test } from "vitest";
import type { Sampling } from "../../core/wire/task-input.ts";
import { samplingOptions } from "./sampling-options.ts";

const plain: Sampling = {
  temperature: 1,
  topP: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  seed: 5,
  stop: [],
  maxTokens: null,
};
const options = (sampling: Partial<Sampling>, generated: Token[] = [], continuedTokens = 0) =>
  samplingOptions({ sampling: { ...plain, ...sampling }, generated, longestAnswerTokens: 100, continuedTokens });

test("no seed means 'draw one' to llama.cpp", () => {
  expect(options({ seed: 0xffff_ffff }).seed).not.toBe(0xffff_ffff);
  expect(options({ seed: 0 }).seed).toBe(0);
});

test("penalties of 0 add no penalty sampler", () => {
  expect(options({}).repeatPenalty).toBeUndefined();
});

test("penalties see the tokens generated so far and reach over the longest answer", () => {
  const generated: Token[] = [];
  const { repeatPenalty } = options({ presencePenalty: -0.5, frequencyPenalty: 2 }, generated);
  expect(repeatPenalty).toMatchObject({ penalty: 1, presencePenalty: -0.5, frequencyPenalty: 2, maxPunishTokens: 100 });
  const punished = repeatPenalty?.punishTokens;
  expect(typeof punished === "function" ? punished() : undefined).toEqual([]);
});

test("a continued answer draws from a seed of its position, never from the first tokens' seed again", () => {
  const seeds = [0, 1, 2, 3, 1_000].map((continuedTokens) => options({ seed: 5 }, [], continuedTokens).seed);
  expect(seeds[0]).toBe(5);
  expect(new Set(seeds).size).toBe(seeds.length);
  for (const seed of [0, 5, 0xffff_ffff]) {
    const continued = options({ seed }, [], 7).seed ?? -1;
    expect(continued).toBe(options({ seed }, [], 7).seed);
    expect(Number.isInteger(continued) && continued >= 0 && continued < 0xffff_ffff).toBe(true);
  }
});
