import { expect, test } from "vitest";
import { sampleNode, shareWithin, trustedNode } from "./sampled-node.ts";
import { seededRandom } from "./seeded-random.ts";

const bad = { isBad: true, isGross: true };
const good = { isBad: false, isGross: false };

test("a new node that always cheats is found at its first task, and suspended after a few", () => {
  const fate = sampleNode({ tasks: 20, outcomeOf: () => bad, random: seededRandom(1) });
  expect(fate.foundAfter).toBe(1);
  expect(fate.suspendedAfter).toBeLessThanOrEqual(5);
});

test("an honest node is never suspended", () => {
  const fate = sampleNode({ tasks: 300, outcomeOf: () => good, random: seededRandom(1) });
  expect(fate).toEqual({ foundAfter: null, suspendedAfter: null });
});

test("a trusted node that begins to cheat is found later than a new one", () => {
  const random = seededRandom(2);
  const start = trustedNode({ tasks: 3_000, random });
  const fates = Array.from({ length: 40 }, () => sampleNode({ tasks: 400, start, outcomeOf: () => bad, random }));
  expect(shareWithin(fates, "foundAfter", 1)).toBeLessThan(0.5);
  expect(shareWithin(fates, "foundAfter", 400)).toBeGreaterThan(0.9);
});
