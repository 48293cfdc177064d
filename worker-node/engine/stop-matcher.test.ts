import { expect, test } from "vitest";
import { StopMatcher } from "./stop-matcher.ts";

/** Pushes the pieces until a stop, then flushes; returns what a reader has seen after each piece. */
function read(stops: string[], pieces: string[]): { seen: string[]; text: string; stopped: boolean } {
  const matcher = new StopMatcher(stops);
  const seen: string[] = [];
  for (const piece of pieces) {
    const { text, stopped } = matcher.push(piece);
    seen.push(text);
    if (stopped) return { seen, text: seen.join(""), stopped };
  }
  return { seen, text: seen.join("") + matcher.flush(), stopped: false };
}

test.each<[guarantee: string, stops: string[], pieces: string[], text: string, stopped: boolean]>([
  ["text without stop strings passes unchanged", [], ["a", "b"], "ab", false],
  ["a stop string inside one piece cuts before it", ["STOP"], ["one STOP two"], "one ", true],
  ["a stop string over three pieces cuts before it", ["STOP"], ["one S", "TO", "P two"], "one ", true],
  ["a beginning that comes to nothing is let out", ["STOP"], ["one ST", "EP"], "one STEP", false],
  ["a beginning at the end of the answer is let out", ["STOP"], ["one ST"], "one ST", false],
  ["a beginning inside a beginning is still found", ["aab"], ["a", "a", "a", "b"], "a", true],
  ["the stop string complete first wins", ["abc", "b"], ["a", "b", "c"], "a", true],
  ["the stop string complete first wins in one piece too", ["abc", "b"], ["abc"], "a", true],
  ["of two complete together the longer wins", ["bc", "abc"], ["xabc"], "x", true],
  ["a stop string at the very start leaves nothing", ["\n"], ["\nhello"], "", true],
  ["characters of two code units are not split", ["😀!"], ["hi 😀", "?"], "hi 😀?", false],
])("%s", (_guarantee, stops, pieces, text, stopped) => {
  expect(read(stops, pieces)).toMatchObject({ text, stopped });
});

test("no part of a stop string is ever shown before it is decided", () => {
  expect(read(["END"], ["x", "E", "N", "D"]).seen).toEqual(["x", "", "", ""]);
});

test("the cut does not depend on how the text is split", () => {
  const text = "aabab abcabca bcaabb";
  const stops = ["abca", "bcab", "aabb", "zz"];
  const whole = read(stops, [text]).text;
  for (let size = 1; size <= text.length; size++) {
    const pieces = text.match(new RegExp(`.{1,${size}}`, "g")) ?? [];
    expect(read(stops, pieces).text).toBe(whole);
  }
});

test("nothing comes out after a stop", () => {
  const matcher = new StopMatcher(["."]);
  matcher.push("a.");
  expect(matcher.push("b")).toEqual({ text: "", stopped: true });
  expect(matcher.flush()).toBe("");
});
