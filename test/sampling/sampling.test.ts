import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { chooseToken } from "../../core/decoding/choose-token.ts";
import { claimMargin } from "../../core/decoding/claim-margin.ts";
import { gumbelNoise, philoxWords } from "../../core/decoding/gumbel-noise.ts";
import type { Candidate } from "../../core/decoding/ranked-candidates.ts";
import { type SamplingVectors, samplingVectorsSchema, vectorsFile } from "./vectors.ts";

const vectors = samplingVectorsSchema.parse(JSON.parse(readFileSync(vectorsFile, "utf8")));
const hasPython = spawnSync("python3", ["--version"]).status === 0;

test("the vectors hold every rule: temperatures 0 and 2, top-k, top-p, min-p, bias, penalties of both signs, a mask", () => {
  const has = (is: (answer: SamplingVectors["answers"][number]) => boolean) => vectors.answers.some(is);
  expect(has(({ rules }) => rules.temperature === 0)).toBe(true);
  expect(has(({ rules }) => rules.temperature === 2)).toBe(true);
  expect(has(({ rules }) => rules.topK !== undefined && rules.topP < 1 && rules.minP !== undefined)).toBe(true);
  expect(has(({ rules }) => rules.logitBias !== undefined)).toBe(true);
  for (const sign of [-1, 1]) expect(has(({ rules }) => rules.frequencyPenalty * sign > 0)).toBe(true);
  expect(has(({ steps }) => steps.some(({ forbidden }) => forbidden.length > 0))).toBe(true);
  const choices = vectors.answers.find(({ rules }) => rules.frequencyPenalty > 0)?.steps.map(({ choice }) => choice);
  expect(choices?.length).toBeGreaterThan(4);
});

test("core/decoding chooses what the vectors say, with their margins and their noise", () => {
  for (const { words, noise, ...place } of vectors.noise) {
    expect(philoxWords(place)).toEqual(words);
    expect(gumbelNoise(place)).toBeCloseTo(noise, 9);
  }
  for (const { name, rules, steps } of vectors.answers) {
    const counts = new Map<number, number>();
    for (const [position, { logits, forbidden, choice, claims }] of steps.entries()) {
      const candidates = logits.flatMap((logit, id): Candidate[] => (forbidden.includes(id) ? [] : [[id, logit]]));
      const place = { counts, position };
      expect(chooseToken(candidates, rules, place), `${name}, position ${position}`).toBe(choice);
      for (const { tokenIds, ...margin } of claims) {
        const found = claimMargin(tokenIds, candidates, rules, place);
        expect(found).toEqual({ margin: expect.closeTo(margin.margin, 9), rank: margin.rank });
      }
      counts.set(choice, (counts.get(choice) ?? 0) + 1);
    }
  }
});

function disputedByPython(given: SamplingVectors): string[] {
  const script = fileURLToPath(new URL("sampling.py", import.meta.url));
  const said = execFileSync("python3", [script], { input: JSON.stringify(given), encoding: "utf8" });
  return said.split("\n").filter((line) => line !== "");
}

/** The vectors with one answer's first step changed. */
function altered(name: string, change: (step: SamplingVectors["answers"][number]["steps"][number]) => void) {
  const copy = structuredClone(vectors);
  const step = copy.answers.find((answer) => answer.name === name)?.steps[0];
  if (step === undefined) throw new Error(`there is no answer '${name}'`);
  change(step);
  return copy;
}

// A box without Python still tests core/decoding against the vectors.
test.skipIf(!hasPython)("an implementation in Python that knows only the documents comes to the same", () => {
  expect(disputedByPython(vectors)).toEqual([]);
});

test.skipIf(!hasPython)("and disputes a vector in which anything was changed", () => {
  const noise = structuredClone(vectors);
  for (const each of noise.noise.slice(0, 1)) each.noise += 1e-8;
  expect(disputedByPython(noise)).toEqual(["noise at (0, 0, 0)"]);
  const choice = altered("temperature 1", (step) => {
    step.choice += 1;
  });
  expect(disputedByPython(choice)).toContain("temperature 1, position 0: choice");
  const margin = altered("top-p", ({ claims }) => {
    for (const claim of claims.slice(1, 2)) claim.margin += 1e-8;
  });
  expect(disputedByPython(margin)).toHaveLength(1);
  const logit = altered("temperature 0", ({ logits, choice }) => {
    logits[choice] = (logits[choice] ?? 0) - 10;
  });
  expect(disputedByPython(logit)).toContain("temperature 0, position 0: choice");
  const seed = structuredClone(vectors);
  for (const answer of seed.answers) answer.rules.seed ^= 1;
  expect(disputedByPython(seed).some((line) => line.startsWith("temperature 2"))).toBe(true);
});
