import type { Token } from "node-llama-cpp";
import { expect, test } from "vitest";
import { AnswerPlace } from "./answer-place.ts";
import { claimsOf } from "./claims.ts";
import type { Matcher } from "./grammar/grammar-host.ts";
import { TokenMask } from "./grammar/token-mask.ts";
import { makeVocabulary } from "./vocabulary.ts";

const texts = ["a", "b", "c", "END"];
const vocabulary = makeVocabulary({ ggml: { model: "gpt2", tokens: texts } }, () => "");
// Ids are only counted here; a model's own are branded.
const tokens = texts.map((_, id) => id as Token);
const mask = (bits: number) => new TokenMask(Int32Array.of(bits), { tokens: texts.length });

/** "a", then "b" or "c", then it is over. */
function matcher(): Matcher {
  let taken = 0;
  const accept = async () => (++taken === 1 ? mask(0b0110) : undefined);
  return { first: mask(0b0001), accept, close: () => {} };
}

async function claims(tokenIds: number[], positions: number[], grammar?: Matcher) {
  const place = new AnswerPlace(vocabulary, grammar?.first ?? "none");
  const found = await claimsOf({ tokenIds, positions, place, matcher: grammar, tokens, endIds: new Set([3]) });
  const told = found.claims.map((claim) => ({ position: claim.position, tokenIds: claim.tokenIds }));
  return {
    told,
    readable: found.readable.length,
    isOver: found.isOver,
    places: found.claims.map((each) => each.place),
  };
}

test("each position that is looked at claims its token, the end each that ends an answer", async () => {
  const { told, readable } = await claims([0, 1, 2], [1, 3]);
  expect(told).toEqual([{ position: 1, tokenIds: [1] }, { position: 3, tokenIds: [3] }]); // biome-ignore format: one line
  expect(readable).toBe(3);
});

test("a place has counted what came before it and nothing after", async () => {
  const { places } = await claims([1, 1, 1], [0, 2]);
  expect(places.map((place) => place.counts.get(1) ?? 0)).toEqual([0, 2]);
});

test("nothing is claimed from a token on that the model does not have, or that the grammar forbids", async () => {
  expect(await claims([0, 9, 1], [0, 1, 2, 3])).toMatchObject({ told: [{ position: 0 }], readable: 1, isOver: false });
  expect(await claims([0, 0, 1], [0, 1, 2], matcher())).toMatchObject({ told: [{ position: 0 }], readable: 1 });
});

test("an answer that its grammar ended needs no token for its end, and has none after it", async () => {
  expect(await claims([0, 2], [0, 2], matcher())).toMatchObject({ told: [{ position: 0 }], readable: 2, isOver: true });
  expect(await claims([0, 2, 1], [2, 3], matcher())).toMatchObject({ told: [], readable: 2, isOver: false });
  expect(await claims([0], [0, 1], matcher())).toMatchObject({ told: [{}, { tokenIds: [3] }], isOver: false });
});
