import { expect, test } from "vitest";
import { type AnswerAtSight, cheapChecks, type Suspicion } from "./cheap-checks.ts";

const count = (tokens: number) => Array.from({ length: tokens }, (_, index) => index);
const honest: AnswerAtSight = {
  tokenIds: count(40),
  text: "a b ".repeat(40),
  finishReason: "stop",
  maxTokens: 100,
  promptTokens: 20,
  contextTokens: 2_048,
  totalMs: 2_000,
  fastestTokensPerSecond: 200,
};
const cycle = (period: number, tokens: number) => count(tokens).map((index) => index % period);

test.each<[guarantee: string, change: Partial<AnswerAtSight>, found: Suspicion[]]>([
  ["an honest answer is not suspicious", {}, []],
  ["nor is one that is cut off at its limit", { finishReason: "length", maxTokens: 40 }, []],
  ["nor one cut off at the context's end", { finishReason: "length", maxTokens: null, contextTokens: 60 }, []],
  ["nor one that ends before a stop sequence", { stopSequence: "END" }, []],
  ["more tokens than were asked for are", { maxTokens: 39 }, ["too_many_tokens"]],
  ["more than the context holds are", { contextTokens: 59, maxTokens: null }, ["too_many_tokens"]],
  ["nothing at all is", { tokenIds: [], text: "" }, ["empty_answer"]],
  ["cut off before the limit is", { finishReason: "length" }, ["wrong_finish_reason"]],
  [
    "cut off at the limit and at a stop sequence is",
    { finishReason: "length", maxTokens: 40, stopSequence: "END" },
    ["wrong_finish_reason"],
  ],
  ["a stop sequence within the text is", { text: "so END it", stopSequence: "END" }, ["wrong_finish_reason"]],
  ["text without tokens is", { tokenIds: [] }, ["text_without_tokens"]],
  ["more text than tokens can spell is", { tokenIds: count(2), text: "x".repeat(513) }, ["text_without_tokens"]],
  ["a speed that nothing reaches is", { totalMs: 199 }, ["impossible_speed"]],
  ["no time at all is", { totalMs: 0 }, ["impossible_speed"]],
  ["but not of a few tokens", { tokenIds: count(15), totalMs: 0 }, []],
  ["one token over and over is", { tokenIds: cycle(1, 96) }, ["repetition_loop"]],
  ["but not for a while", { tokenIds: cycle(1, 95) }, []],
  [
    "a phrase over and over is",
    { tokenIds: [...count(4), ...cycle(50, 200)], totalMs: 9_000, maxTokens: 999 },
    ["repetition_loop"],
  ],
  ["but not three times", { tokenIds: cycle(64, 192), totalMs: 9_000, maxTokens: 999 }, []],
  ["a loop that was left is not", { tokenIds: [...cycle(1, 96), 5] }, []],
])("%s", (_guarantee, change, found) => {
  expect(cheapChecks({ ...honest, ...change })).toEqual(found);
});

test("suspicions come together", () => {
  expect(cheapChecks({ ...honest, tokenIds: cycle(3, 120), totalMs: 1 })).toEqual([
    "too_many_tokens",
    "impossible_speed",
    "repetition_loop",
  ]);
});
