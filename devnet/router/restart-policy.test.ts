import { expect, test } from "vitest";
import { type AfterEnd, afterEnd } from "./restart-policy.ts";

test.each<[guarantee: string, end: { livedMs: number; shortLives: number }, then: AfterEnd]>([
  [
    "a workerd that ran well and was killed is back at once",
    { livedMs: 3_600_000, shortLives: 0 },
    { kind: "restart", delayMs: 0, shortLives: 0 },
  ],
  [
    "one that ended soon is given a moment",
    { livedMs: 300, shortLives: 0 },
    { kind: "restart", delayMs: 100, shortLives: 1 },
  ],
  ["one that never listened too", { livedMs: 0, shortLives: 0 }, { kind: "restart", delayMs: 100, shortLives: 1 }],
  [
    "each short life doubles the wait",
    { livedMs: 0, shortLives: 4 },
    { kind: "restart", delayMs: 1_600, shortLives: 5 },
  ],
  ["six short lives in a row are enough", { livedMs: 0, shortLives: 5 }, { kind: "giveUp" }],
  [
    "a long life forgives the short ones before it",
    { livedMs: 60_000, shortLives: 5 },
    { kind: "restart", delayMs: 0, shortLives: 0 },
  ],
])("%s", (_guarantee, end, then) => {
  expect(afterEnd(end)).toEqual(then);
});
