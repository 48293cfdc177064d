import type { Token } from "node-llama-cpp";
import { expect, test } from "vitest";
import type { Sampling } from "../../core/wire/task-input.ts";
import { AnswerPlace } from "./answer-place.ts";
import { greedy } from "./ask-engine.fixture.ts";
import { TokenMask } from "./grammar/token-mask.ts";
import { type LogitsWish, type Reach, wishAt } from "./logits-wish.ts";
import { makeVocabulary } from "./vocabulary.ts";

const count = 3_200;
const texts = Array.from({ length: count }, (_, id) => `t${id}`);
const vocabulary = makeVocabulary({ ggml: { model: "gpt2", tokens: texts } }, () => "");
// Ids are only counted here; a model's own are branded.
const tokens = texts.map((_, id) => id as Token);
const maskOf = (...ids: number[]) => {
  const bits = new Int32Array(count / 32);
  for (const id of ids) bits[id >> 5] = (bits[id >> 5] ?? 0) | (1 << (id & 31));
  return new TokenMask(bits, { tokens: count });
};

function wish(
  sampling: Partial<Sampling>,
  allowed: TokenMask | "none" = "none",
  reach: Reach = "likeliest",
): LogitsWish {
  const place = new AnswerPlace(vocabulary, allowed);
  place.take(5, allowed);
  return wishAt(place, { sampling: { ...greedy, ...sampling }, reach, tokens });
}
const warm = { temperature: 1 };
const quick = { tokens: [], isAll: false, wantsTotal: false };

test.each<[what: string, wish: LogitsWish, expected: Partial<LogitsWish>]>([
  ["at temperature 0 a few tokens do", wish({}), { ...quick, top: 9 }],
  ["above it all that may be chosen", wish(warm), { ...quick, top: 72 }],
  ["or as many as top-k lets through", wish({ ...warm, topK: 3 }), { ...quick, top: 11 }],
  ["penalties need more, still sorted by llama.cpp", wish({ ...warm, presencePenalty: 1 }), { ...quick, top: 120 }],
  ["a bias against a token as well", wish({ ...warm, logitBias: [[7, -5]] }), { ...quick, top: 120 }],
  ["a token that a bias lifts is named", wish({ ...warm, logitBias: [[7, 5]] }), { tokens: [7] as Token[], top: 120 }],
  ["and each that came, where penalties lift it", wish({ ...warm, presencePenalty: -1 }), { tokens: [5] as Token[] }],
  ["a few that a grammar allows are all named", wish(warm, maskOf(3, 9)), { tokens: [3, 9] as Token[], isAll: true }],
  ["many are looked for among the likeliest", wish(warm, maskOf(...tokens)), { ...quick, top: 120 }],
  ["where those were too few, among more", wish(warm, "none", "more"), { ...quick, top: 2_048 }],
  ["and then among all", wish(warm, "none", "all"), { top: count, isAll: true, tokens: [] }],
  ["probabilities need the sum over all", wish({ logprobs: { top: 20 } }), { top: 20, wantsTotal: true }],
])("%s", (_what, made, expected) => {
  expect(made).toMatchObject(expected);
});
