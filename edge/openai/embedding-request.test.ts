import { expect, test } from "vitest";
import { limits } from "../../core/limits.ts";
import { Refusal } from "../../core/refusal.ts";
import { parseEmbeddingRequest } from "./embedding-request.ts";

const model = "all-minilm-l6-v2";

function refusalOf(body: unknown): { code: string; param: string | undefined } {
  try {
    parseEmbeddingRequest(body);
  } catch (error) {
    if (error instanceof Refusal) return { code: error.code, param: error.param };
    throw error;
  }
  throw new Error("the body was taken");
}

test("one text is a list of one, as floats in the model's own dimensions", () => {
  expect(parseEmbeddingRequest({ model, input: "hello" })).toEqual({
    model,
    wantsEvidence: false,
    encoding: "float",
    dimensions: undefined,
    input: { kind: "embedding", texts: ["hello"] },
  });
});

test("a list keeps its order", () => {
  expect(parseEmbeddingRequest({ model, input: ["b", "a", "b"] }).input.texts).toEqual(["b", "a", "b"]);
});

test("null is as good as absent", () => {
  expect(parseEmbeddingRequest({ model, input: "hello", encoding_format: null, dimensions: null })).toEqual(
    parseEmbeddingRequest({ model, input: "hello" }),
  );
});

test("base64 and dimensions are kept", () => {
  expect(parseEmbeddingRequest({ model, input: "hello", encoding_format: "base64", dimensions: 384 })).toMatchObject({
    encoding: "base64",
    dimensions: 384,
  });
});

test("what OpenAI ignores is ignored", () => {
  expect(parseEmbeddingRequest({ model, input: "hello", user: "someone", later: { a: 1 } })).toEqual(
    parseEmbeddingRequest({ model, input: "hello" }),
  );
});

test(`${limits.embeddingInputs} texts are taken`, () => {
  const input = Array.from({ length: limits.embeddingInputs }, () => "a");
  expect(parseEmbeddingRequest({ model, input }).input.texts).toHaveLength(limits.embeddingInputs);
});

test.each<[guarantee: string, body: object, code: string, param: string]>([
  ["a model is required", { input: "a" }, "missing_required_parameter", "model"],
  ["an empty model is wrong", { model: "", input: "a" }, "invalid_value", "model"],
  ["an input is required", { model }, "missing_required_parameter", "input"],
  ["an empty text is refused", { model, input: "" }, "invalid_value", "input"],
  ["an empty list is refused", { model, input: [] }, "invalid_value", "input"],
  ["an empty text in a list is refused with its place", { model, input: ["a", ""] }, "invalid_value", "input[1]"],
  ["a negative token id is refused", { model, input: [1, -2] }, "invalid_value", "input[1]"],
  ["a list without token ids is refused", { model, input: [[1, 2], []] }, "invalid_value", "input[1]"],
  ["texts and token ids do not mix", { model, input: ["a", [1]] }, "invalid_value", "input[0]"],
  ["an object is refused", { model, input: { text: "a" } }, "invalid_value", "input"],
  ["an unknown encoding is refused", { model, input: "a", encoding_format: "hex" }, "invalid_value", "encoding_format"],
  ["dimensions of zero are refused", { model, input: "a", dimensions: 0 }, "invalid_value", "dimensions"],
  ["a fraction of a dimension is refused", { model, input: "a", dimensions: 1.5 }, "invalid_value", "dimensions"],
])("%s", (_guarantee, body, code, param) => {
  expect(refusalOf(body)).toEqual({ code, param });
});

test("one text more than the limit is refused", () => {
  const input = Array.from({ length: limits.embeddingInputs + 1 }, () => "a");
  expect(refusalOf({ model, input })).toEqual({ code: "invalid_value", param: "input" });
});

test("texts that are too long together are refused, those at the limit are not", () => {
  const half = "a".repeat(limits.promptCharacters / 2);
  expect(parseEmbeddingRequest({ model, input: [half, half] }).input.texts).toHaveLength(2);
  expect(refusalOf({ model, input: [half, half, "a"] })).toEqual({ code: "prompt_too_large", param: "input" });
});

test("a list of token ids is one text, and lists of them are several", () => {
  expect(parseEmbeddingRequest({ model, input: [5, 0] }).input.texts).toEqual([[5, 0]]);
  expect(parseEmbeddingRequest({ model, input: [[5, 0], [7]] }).input.texts).toEqual([[5, 0], [7]]);
});
