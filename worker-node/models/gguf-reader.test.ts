import { mkdtempSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import type { GgufValue } from "./gguf-format.ts";
import { readGgufHeader } from "./gguf-header.ts";
import { readGguf } from "./gguf-reader.ts";
import { type WritableTensor, writeGguf } from "./gguf-writer.ts";
import { ModelError, type ModelErrorCode } from "./model-error.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "gguf-"));
});

const tensor = (name: string, shape: number[], values: readonly number[]): WritableTensor => ({
  name,
  shape,
  type: "F32",
  data: () => new Uint8Array(Float32Array.from(values).buffer),
});

const chat: [string, GgufValue][] = [
  ["general.architecture", { type: "string", value: "llama" }],
  ["general.name", { type: "string", value: "A model" }],
  ["general.file_type", { type: "uint32", value: 15 }],
  ["llama.context_length", { type: "uint32", value: 2048 }],
  ["llama.embedding_length", { type: "uint64", value: 64n }],
  ["tokenizer.chat_template", { type: "string", value: "{{ messages }}" }],
];

/** Writes the chat model with `changes` in place of or after its own entries. */
function write(name: string, changes: [string, GgufValue][] = [], tensors = [tensor("a", [2], [1, 2])]): string {
  const path = join(folder, name);
  writeGguf(path, { metadata: [...new Map([...chat, ...changes])], tensors });
  return path;
}

function codeOf(read: () => unknown): ModelErrorCode | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (error instanceof ModelError) return error.code;
    throw error;
  }
}

test("every type of value is read as it was written", () => {
  const values: [string, GgufValue][] = [
    ["a.uint8", { type: "uint8", value: 255 }],
    ["a.int8", { type: "int8", value: -128 }],
    ["a.uint16", { type: "uint16", value: 65_535 }],
    ["a.int16", { type: "int16", value: -32_768 }],
    ["a.uint32", { type: "uint32", value: 4_294_967_295 }],
    ["a.int32", { type: "int32", value: -2_147_483_648 }],
    ["a.uint64", { type: "uint64", value: 18_446_744_073_709_551_615n }],
    ["a.int64", { type: "int64", value: -9_223_372_036_854_775_808n }],
    ["a.float32", { type: "float32", value: 0.5 }],
    ["a.float64", { type: "float64", value: 0.1 }],
    ["a.bool", { type: "bool", value: true }],
    ["a.string", { type: "string", value: "▁naïve 東京" }],
    ["a.strings", { type: "array", of: "string", value: ["", "b"] }],
    ["a.bools", { type: "array", of: "bool", value: [true, false] }],
    ["a.floats", { type: "array", of: "float32", value: [1.5, -2] }],
    ["a.longs", { type: "array", of: "int64", value: [-1n, 1n] }],
  ];
  const path = join(folder, "values.gguf");
  writeGguf(path, { metadata: values, tensors: [] });
  expect([...readGgufHeader(path).metadata]).toEqual(values.map(([key, { value }]) => [key, value]));
});

test("tensors stand at multiples of 32 bytes, with the data they were given", () => {
  const path = write("tensors.gguf", [], [tensor("first", [3], [1, 2, 3]), tensor("second", [2, 2], [4, 5, 6, 7])]);
  const file = readFileSync(path);
  const tensors = readGgufHeader(path).tensors;
  expect(tensors.map(({ name, shape }) => [name, shape])).toEqual([
    ["first", [3]],
    ["second", [2, 2]],
  ]);
  expect(tensors.map(({ offsetBytes }) => offsetBytes % 32)).toEqual([0, 0]);
  expect(file.readFloatLE(tensors[1]?.offsetBytes)).toBe(4);
});

test("a tensor whose data does not fill its shape is not written", () => {
  expect(() => write("short.gguf", [], [tensor("a", [3], [1])])).toThrow("tensor a has 4 bytes");
});

test("a chat model is described by what its file says", () => {
  expect(readGguf(write("chat.gguf"))).toMatchObject({
    architecture: "llama",
    title: "A model",
    kind: "chat",
    quantization: "Q4_K_M",
    trainedContextTokens: 2048,
    embeddingLength: 64,
    chatTemplate: "{{ messages }}",
    pooling: undefined,
    vocabulary: undefined,
  });
});

test.each<[guarantee: string, key: string, value: GgufValue]>([
  ["a pooling makes an embedding model", "llama.pooling_type", { type: "uint32", value: 3 }],
  ["attention in both directions makes an embedding model", "llama.attention.causal", { type: "bool", value: false }],
])("%s", (_guarantee, key, value) => {
  expect(readGguf(write("embedding.gguf", [[key, value]])).kind).toBe("embedding");
});

test("a file that does not name its quantisation is named after its tensors", () => {
  const unnamed: [string, GgufValue] = ["general.file_type", { type: "uint32", value: 999 }];
  expect(readGguf(write("unnamed.gguf", [unnamed])).quantization).toBe("F32");
});

test("the vocabulary is returned only where it is asked for, however long it is", () => {
  const tokens = Array.from({ length: 5_000 }, (_, id) => `token ${id}`);
  const path = write("vocabulary.gguf", [
    ["tokenizer.ggml.tokens", { type: "array", of: "string", value: tokens }],
    ["tokenizer.ggml.token_type", { type: "array", of: "int32", value: tokens.map(() => 1) }],
    ["after.it", { type: "string", value: "still read" }],
  ]);
  expect(readGgufHeader(path).metadata.has("tokenizer.ggml.tokens")).toBe(false);
  expect(readGgufHeader(path).metadata.get("after.it")).toBe("still read");
  const { vocabulary } = readGguf(path, { vocabulary: true });
  expect(vocabulary?.tokens).toEqual(tokens);
  expect(vocabulary?.types).toHaveLength(5_000);
});

test.each<[guarantee: string, code: ModelErrorCode, key: string, value: GgufValue]>([
  ["a part of a split model is refused", "unsupported", "split.count", { type: "uint16", value: 2 }],
  ["a reranker is refused", "unsupported", "llama.pooling_type", { type: "uint32", value: 4 }],
  ["an image projector is refused", "unsupported", "general.architecture", { type: "string", value: "clip" }],
])("%s", (_guarantee, code, key, value) => {
  expect(codeOf(() => readGguf(write("refused.gguf", [[key, value]])))).toBe(code);
});

test("a file cut anywhere is called truncated", () => {
  const path = write("whole.gguf");
  const whole = readFileSync(path);
  for (let length = 24; length < whole.length - 32; length += 7) {
    writeFileSync(path, whole.subarray(0, length));
    expect(codeOf(() => readGguf(path))).toBe("truncated");
  }
  writeFileSync(path, whole);
  truncateSync(path, whole.length - 25);
  expect(codeOf(() => readGguf(path))).toBe("truncated");
});

test("a file that is something else, or no file, is told apart", () => {
  const path = join(folder, "text.gguf");
  writeFileSync(path, "<!doctype html><title>Sign in to download</title>");
  expect(codeOf(() => readGguf(path))).toBe("not_gguf");
  expect(codeOf(() => readGguf(join(folder, "none.gguf")))).toBe("file_missing");
});
