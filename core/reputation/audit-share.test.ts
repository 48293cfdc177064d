import { expect, test } from "vitest";
import { auditShareOf, leastShare } from "./audit-share.ts";
import { posteriorOf, upperFailureRate } from "./posterior.ts";

test("nothing is known of a new node: its score is one half, give or take 0.29", () => {
  expect(posteriorOf({ valid: 0, invalid: 0 }).mean).toBe(0.5);
  expect(posteriorOf({ valid: 0, invalid: 0 }).deviation).toBeCloseTo(0.2887, 4);
  expect(upperFailureRate({ valid: 0, invalid: 0 })).toBe(0.5);
});

test("of a node with a thousand valid checks it is known to within 0.1 %", () => {
  const { mean, deviation } = posteriorOf({ valid: 998, invalid: 0 });
  expect([mean, deviation]).toEqual([0.999, expect.closeTo(0.001, 4)]);
});

test.each<[what: string, tasks: number, valid: number, share: number]>([
  ["a hundred answers, all checked", 100, 100, 0.907],
  ["two hundred", 200, 190, 0.72],
  ["five hundred", 500, 430, 0.32],
  ["a thousand", 1_000, 600, 0.144],
  ["three thousand", 3_000, 800, 0.041],
  ["ten thousand", 10_000, 1_000, 0.01],
])("after %s a node's share is what the formula says", (_what, tasks, valid, share) => {
  expect(auditShareOf({ owed: 0, tasks, valid, invalid: 0 })).toBeCloseTo(share, 2);
});

test("the share is 1 while anything is owed, and never below 1 %", () => {
  expect(auditShareOf({ owed: 1, tasks: 1e6, valid: 1e5, invalid: 0 })).toBe(1);
  expect(auditShareOf({ owed: 0, tasks: 1e9, valid: 1e9, invalid: 0 })).toBe(leastShare);
  expect(auditShareOf({ owed: 0, tasks: 0, valid: 0, invalid: 0 })).toBe(1);
});

test("a confirmed failure never lowers the share, a valid check never raises it", () => {
  for (const tasks of [1, 10, 100, 1_000, 10_000]) {
    for (const valid of [0, 1, 10, 100, 1_000].filter((count) => count <= tasks)) {
      const share = auditShareOf({ owed: 0, tasks, valid, invalid: 0 });
      expect(auditShareOf({ owed: 0, tasks, valid, invalid: 1 })).toBeGreaterThanOrEqual(share);
      expect(auditShareOf({ owed: 0, tasks: tasks + 1, valid: valid + 1, invalid: 0 })).toBeLessThanOrEqual(share);
    }
  }
});
