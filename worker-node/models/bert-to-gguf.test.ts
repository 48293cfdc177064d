import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { convertBertToGguf } from "./bert-to-gguf.ts";
import { readGgufHeader } from "./gguf-header.ts";
import { readGguf } from "./gguf-reader.ts";
import { safetensors, tinyBert } from "./tiny-bert.fixture.ts";

const { shapes, vocabulary, conversion, width, hidden } = tinyBert;

let paths: { safetensorsPath: string; vocabularyPath: string; outputPath: string };

beforeEach(() => {
  const folder = mkdtempSync(join(tmpdir(), "bert-"));
  paths = {
    safetensorsPath: join(folder, "model.safetensors"),
    vocabularyPath: join(folder, "vocab.txt"),
    outputPath: join(folder, "model.gguf"),
  };
  writeFileSync(paths.safetensorsPath, safetensors(shapes));
  writeFileSync(paths.vocabularyPath, `${vocabulary.join("\n")}\n`);
});

test("the same input gives the same bytes, on every machine", () => {
  convertBertToGguf({ ...paths, conversion });
  const sha256 = createHash("sha256").update(readFileSync(paths.outputPath)).digest("hex");
  expect(sha256).toBe("4fbc6c93fa25b4570707989136520524edc41da204f72e5377ee4b9d8df415aa");
});

test("the file says what llama.cpp needs to run a sentence encoder", () => {
  convertBertToGguf({ ...paths, conversion });
  expect(readGguf(paths.outputPath, { vocabulary: true })).toMatchObject({
    architecture: "bert",
    title: "tiny",
    kind: "embedding",
    pooling: "mean",
    quantization: "F16",
    trainedContextTokens: 16,
    embeddingLength: width,
    vocabulary: {
      tokens: ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "▁happy", "ly", "▁[unused0]"],
      types: [3, 3, 3, 3, 3, 1, 1, 1],
    },
  });
});

test("matrices become half precision, vectors and positions stay as they are, the pooler is left out", () => {
  convertBertToGguf({ ...paths, conversion });
  const tensors = new Map(readGgufHeader(paths.outputPath).tensors.map((tensor) => [tensor.name, tensor]));
  expect(tensors.get("blk.0.ffn_up.weight")).toMatchObject({ shape: [width, hidden], type: 1 });
  expect(tensors.get("blk.0.ffn_up.bias")).toMatchObject({ shape: [hidden], type: 0 });
  expect(tensors.get("position_embd.weight")).toMatchObject({ shape: [width, 16], type: 0 });
  expect(tensors.size).toBe(Object.keys(shapes).length - 1);
});

test.each<[guarantee: string, breakIt: () => void]>([
  ["a vocabulary of another model is refused", () => writeFileSync(paths.vocabularyPath, "[PAD]\n[UNK]\n")],
  [
    "a missing tensor is refused",
    () => {
      const { "encoder.layer.0.output.dense.bias": _left, ...rest } = shapes;
      writeFileSync(paths.safetensorsPath, safetensors(rest));
    },
  ],
  ["a cut file is refused", () => writeFileSync(paths.safetensorsPath, safetensors(shapes).subarray(0, -4))],
  ["another kind of file is refused", () => writeFileSync(paths.safetensorsPath, "<!doctype html>")],
])("%s", (_guarantee, breakIt) => {
  breakIt();
  expect(() => convertBertToGguf({ ...paths, conversion })).toThrow(
    expect.objectContaining({ name: "ModelError", code: "bad_source_file" }),
  );
});
