import { expect, test } from "vitest";
import { promptCount, promptsOf, seedOf } from "./prompts.ts";

test("no prompt stands twice, and none in both sets", () => {
  const texts = (["calibration", "evaluation"] as const).flatMap((set) =>
    promptsOf(set, promptCount(set)).map(({ text }) => text),
  );
  expect(texts.length).toBeGreaterThan(9_000);
  expect(new Set(texts).size).toBe(texts.length);
  expect(texts.filter((text) => text.includes("#"))).toEqual([]);
});

test("a set begins the same however many are asked for", () => {
  expect(promptsOf("evaluation", 50).slice(0, 20)).toEqual(promptsOf("evaluation", 20));
  expect(() => promptsOf("evaluation", 1_000_000)).toThrow("not 1000000");
});

test("a name has one seed", () => {
  expect(seedOf("a")).toBe(seedOf("a"));
  expect(seedOf("a")).not.toBe(seedOf("b"));
});
