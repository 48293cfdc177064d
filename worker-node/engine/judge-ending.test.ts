import { expect, test } from "vitest";
import type { CheckInput } from "../../core/wire/task-input.ts";
import { greedy, user } from "./ask-engine.fixture.ts";
import { judgeEnding } from "./judge-ending.ts";
import { makeVocabulary } from "./vocabulary.ts";

/** Small letters, and a token that ends an answer. */
const letters = [..."abcdefghijklmnopqrstuvwxyz"];
const end = letters.length;
const vocabulary = makeVocabulary(
  { ggml: { model: "gpt2", tokens: [...letters, "<end>"], token_type: [...letters.map(() => 1), 3] } },
  () => "",
);
const ids = (text: string) => [...text].map((letter) => letters.indexOf(letter));

function judge(
  tokenIds: number[],
  claim: Partial<CheckInput>,
  { stop = ["xy", "y"], maxTokens = 8, roomTokens = 100 }: { stop?: string[]; maxTokens?: number | null; roomTokens?: number } = {}, // biome-ignore format: one line
): [isTextOfTokens: boolean, isEndRight: boolean] {
  const input: CheckInput = {
    ...{ kind: "check", tokenIds, text: "", finishReason: "stop", positions: [] },
    of: { kind: "chat", messages: [user("hello")], sampling: { ...greedy, stop, maxTokens } },
    ...claim,
  };
  const { isTextOfTokens, isEndRight } = judgeEnding(input, { vocabulary, endIds: new Set([end]), roomTokens });
  return [isTextOfTokens, isEndRight];
}

test.each<[guarantee: string, judged: [boolean, boolean], expected: [boolean, boolean]]>([
  ["the model may end it anywhere", judge(ids("abc"), { text: "abc" }), [true, true]],
  ["with no token", judge([], {}), [true, true]],
  ["but not with the token that is the last by length", judge(ids("abcdefgh"), { text: "abcdefgh" }), [true, false]],
  ["nor after one that ends an answer", judge([0, end, 1], { text: "ab" }), [true, false]],
  ["text is what the ids spell", judge(ids("abc"), { text: "abd" }), [false, true]],
  ["and all of it", judge(ids("abc"), { text: "ab" }), [false, true]],
  ["a stop sequence is no part of it", judge(ids("abxy"), { text: "ab", stopSequence: "xy" }), [true, true]],
  ["it is the one that came", judge(ids("abxy"), { text: "ab", stopSequence: "y" }), [true, false]],
  ["it has to be named", judge(ids("abxy"), { text: "ab" }), [true, false]],
  ["and to have come", judge(ids("ab"), { text: "ab", stopSequence: "xy" }), [true, false]],
  ["nothing comes after it", judge(ids("ayb"), { text: "a", stopSequence: "y" }), [false, false]],
  ["length is maxTokens", judge(ids("abcdefgh"), { text: "abcdefgh", finishReason: "length" }), [true, true]],
  ["and not before", judge(ids("abc"), { text: "abc", finishReason: "length" }), [true, false]],
  ["nor after", judge(ids("abcdefghi"), { text: "abcdefghi", finishReason: "length" }), [false, false]],
  ["or the room", judge(ids("abc"), { text: "abc", finishReason: "length" }, { maxTokens: null, roomTokens: 3 }), [true, true]], // biome-ignore format: one line a case
  ["an answer that was cut off ends anywhere", judge(ids("ab"), { text: "ab", finishReason: null }), [true, true]],
  ["with or without what was held back", judge(ids("abx"), { text: "ab", finishReason: null }), [true, true]],
  ["or with it", judge(ids("abx"), { text: "abx", finishReason: null }), [true, true]],
])("%s", (_guarantee, judged, expected) => {
  expect(judged).toEqual(expected);
});
