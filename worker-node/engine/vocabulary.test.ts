import { expect, test } from "vitest";
import { makeVocabulary } from "./vocabulary.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const never = () => {
  throw new Error("not asked for these families");
};

test("byte-level BPE tokens give their bytes, half characters included", () => {
  const tokens = ["Hello", "Ġworld", "Ċ", "Ã", "©", "<|im_end|>", "<tool>"];
  const vocabulary = makeVocabulary({ ggml: { model: "gpt2", tokens, token_type: [1, 1, 1, 1, 1, 3, 4] } }, never);
  expect(tokens.slice(0, 3).map((_, id) => text(vocabulary.bytesOf(id)))).toEqual(["Hello", " world", "\n"]);
  expect([...vocabulary.bytesOf(3), ...vocabulary.bytesOf(4)]).toEqual([...new TextEncoder().encode("é")]);
  expect(vocabulary.bytesOf(5)).toHaveLength(0);
  expect(text(vocabulary.bytesOf(6))).toBe("<tool>");
  expect(vocabulary.stripsLeadingSpace).toBe(false);
});

test("SentencePiece tokens give spaces and raw bytes", () => {
  const tokens = ["<unk>", "<s>", "▁Hello", "<0xE2>", "plain"];
  const vocabulary = makeVocabulary({ ggml: { model: "llama", tokens, token_type: [2, 3, 1, 6, 1] } }, never);
  expect(text(vocabulary.bytesOf(2))).toBe(" Hello");
  expect([...vocabulary.bytesOf(3)]).toEqual([0xe2]);
  expect(vocabulary.stripsLeadingSpace).toBe(true);
});

test("only control and unknown tokens count as control text", () => {
  const tokens = ["<unk>", "<s>", "a", "<tool>", ""];
  const vocabulary = makeVocabulary({ ggml: { model: "llama", tokens, token_type: [2, 3, 1, 4, 3] } }, never);
  expect([...vocabulary.controlTexts]).toEqual(["<unk>", "<s>"]);
});

test("families not known here ask the model for a token's text", () => {
  const vocabulary = makeVocabulary({ ggml: { model: "rwkv", tokens: ["a", "b"] } }, (id) => `token ${id}`);
  expect(text(vocabulary.bytesOf(1))).toBe("token 1");
});

test("ids outside the vocabulary add nothing", () => {
  expect(makeVocabulary({ ggml: { model: "gpt2", tokens: ["a"] } }, never).bytesOf(7)).toHaveLength(0);
});
