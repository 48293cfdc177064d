import { readFileSync } from "node:fs";
import type { BertConversion } from "../../core/model/catalogue.ts";
import { bertMetadata } from "./bert-metadata.ts";
import { toFloat16 } from "./float16.ts";
import { type WritableTensor, writeGguf } from "./gguf-writer.ts";
import { ModelError } from "./model-error.ts";
import { openSafetensors, type Safetensors } from "./safetensors.ts";

/** Tensors of each layer: the name in a Hugging Face BERT, the name in llama.cpp. Each has `.weight` and `.bias`. */
const layerTensors = [
  ["attention.self.query", "attn_q"],
  ["attention.self.key", "attn_k"],
  ["attention.self.value", "attn_v"],
  ["attention.output.dense", "attn_output"],
  ["attention.output.LayerNorm", "attn_output_norm"],
  ["intermediate.dense", "ffn_up"],
  ["output.dense", "ffn_down"],
  ["output.LayerNorm", "layer_output_norm"],
] as const;

/**
 * Converts a BERT sentence encoder (`model.safetensors` in float32 and its `vocab.txt`) to the GGUF that llama.cpp
 * runs, replacing what stands at `outputPath`. The same input gives the same bytes on every machine.
 *
 * Matrices become F16; vectors, positions and token types stay F32, as llama.cpp's own converter leaves them. The
 * pooler is left out: sentence encoders take the mean over tokens. Sizes are read from the tensors, the rest is given
 * by `conversion`. Throws {@link ModelError} `bad_source_file` where a file is not what a BERT has.
 */
export function convertBertToGguf({
  safetensorsPath,
  vocabularyPath,
  outputPath,
  conversion,
}: {
  safetensorsPath: string;
  vocabularyPath: string;
  outputPath: string;
  conversion: BertConversion;
}): void {
  const vocabulary = readFileSync(vocabularyPath, "utf8")
    .split("\n")
    .map((line) => line.replace(/\r$/, ""));
  if (vocabulary.at(-1) === "") vocabulary.pop();

  const source = openSafetensors(safetensorsPath);
  try {
    const [vocabularySize = 0, embeddingLength = 0] = source.shape("embeddings.word_embeddings.weight");
    if (vocabularySize !== vocabulary.length) {
      throw new ModelError(
        "bad_source_file",
        `${vocabularyPath} has ${vocabulary.length} word pieces and the model ${vocabularySize}: they are not of one model.`,
      );
    }
    const [contextTokens = 0] = source.shape("embeddings.position_embeddings.weight");
    const [tokenTypes = 0] = source.shape("embeddings.token_type_embeddings.weight");
    const [feedForwardLength = 0] = source.shape("encoder.layer.0.intermediate.dense.weight");
    const layers = new Set(source.names.flatMap((name) => /^encoder\.layer\.(\d+)\./.exec(name)?.[1] ?? [])).size;
    writeGguf(outputPath, {
      metadata: bertMetadata(
        { ...conversion, layers, contextTokens, embeddingLength, feedForwardLength, tokenTypes, weights: "F16" },
        vocabulary,
      ),
      tensors: bertTensors(source, layers),
    });
  } finally {
    source.close();
  }
}

function bertTensors(source: Safetensors, layers: number): WritableTensor[] {
  const embeddings = [
    tensor({ source, from: "embeddings.word_embeddings.weight", to: "token_embd.weight" }),
    tensor({ source, from: "embeddings.position_embeddings.weight", to: "position_embd.weight", keepF32: true }),
    tensor({ source, from: "embeddings.token_type_embeddings.weight", to: "token_types.weight", keepF32: true }),
    tensor({ source, from: "embeddings.LayerNorm.weight", to: "token_embd_norm.weight" }),
    tensor({ source, from: "embeddings.LayerNorm.bias", to: "token_embd_norm.bias" }),
  ];
  const inLayers = Array.from({ length: layers }, (_, layer) =>
    layerTensors.flatMap(([from, to]) =>
      ["weight", "bias"].map((part) =>
        tensor({ source, from: `encoder.layer.${layer}.${from}.${part}`, to: `blk.${layer}.${to}.${part}` }),
      ),
    ),
  );
  return [...embeddings, ...inLayers.flat()];
}

function tensor({
  source,
  from,
  to,
  keepF32 = false,
}: {
  source: Safetensors;
  from: string;
  to: string;
  keepF32?: boolean;
}): WritableTensor {
  const shape = source.shape(from).toReversed();
  const half = shape.length > 1 && !keepF32;
  return {
    name: to,
    shape,
    type: half ? "F16" : "F32",
    data() {
      const values = source.read(from);
      const stored = half ? toFloat16(values) : values;
      return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
    },
  };
}
