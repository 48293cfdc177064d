import { expect, test } from "vitest";
import { AnswerPlace } from "./answer-place.ts";
import { TokenMask } from "./grammar/token-mask.ts";
import { makeVocabulary } from "./vocabulary.ts";

/** "a", "é" in one token, its two bytes, and a byte that begins nothing. */
const vocabulary = makeVocabulary({ ggml: { model: "gpt2", tokens: ["a", "Ã©", "Ã", "©", "ÿ"] } }, () => "");
const all = new TokenMask(Int32Array.of(0b11111), { tokens: 5 });
const allowedOf = (place: AnswerPlace) => [0, 1, 2, 3, 4].filter((id) => place.allows(id));

test("without a grammar any token may come, whatever its bytes", () => {
  const place = new AnswerPlace(vocabulary, "none");
  expect(allowedOf(place)).toEqual([0, 1, 2, 3, 4]);
  place.take(2, "none");
  expect(allowedOf(place)).toEqual([0, 1, 2, 3, 4]);
  expect(place.allowedIds(100)).toBeUndefined();
});

test("with a grammar only what it allows and what goes on in UTF-8", () => {
  const place = new AnswerPlace(vocabulary, all);
  expect(allowedOf(place)).toEqual([0, 1, 2]);
  place.take(2, all);
  expect(allowedOf(place)).toEqual([3]);
  expect(place.allowedIds(100)).toEqual([3]);
  place.take(3, new TokenMask(Int32Array.of(0b00010), { tokens: 5 }));
  expect(allowedOf(place)).toEqual([1]);
  place.take(1, "over");
  expect(place.isOver).toBe(true);
  expect(allowedOf(place)).toEqual([]);
});

test("tokens are counted, and a copy stays where it is", () => {
  const place = new AnswerPlace(vocabulary, "none");
  place.take(0, "none");
  const copy = place.copy();
  place.take(0, "none");
  expect([copy.position, copy.counts.get(0)]).toEqual([1, 1]);
  expect([place.position, place.counts.get(0)]).toEqual([2, 2]);
});
