const width = 4;
const hidden = 8;
const vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "happy", "##ly", "[unused0]"];

const shapes: Record<string, number[]> = {
  "embeddings.word_embeddings.weight": [vocabulary.length, width],
  "embeddings.position_embeddings.weight": [16, width],
  "embeddings.token_type_embeddings.weight": [2, width],
  "embeddings.LayerNorm.weight": [width],
  "embeddings.LayerNorm.bias": [width],
  "pooler.dense.weight": [width, width],
};
for (const part of ["self.query", "self.key", "self.value", "output.dense"]) {
  shapes[`encoder.layer.0.attention.${part}.weight`] = [width, width];
  shapes[`encoder.layer.0.attention.${part}.bias`] = [width];
}
for (const part of ["attention.output.LayerNorm", "output.LayerNorm"]) {
  shapes[`encoder.layer.0.${part}.weight`] = [width];
  shapes[`encoder.layer.0.${part}.bias`] = [width];
}
shapes["encoder.layer.0.intermediate.dense.weight"] = [hidden, width];
shapes["encoder.layer.0.intermediate.dense.bias"] = [hidden];
shapes["encoder.layer.0.output.dense.weight"] = [width, hidden];
shapes["encoder.layer.0.output.dense.bias"] = [width];

/** A BERT of one layer as Hugging Face has it: names and shapes of its tensors, its vocabulary. */
export const tinyBert = {
  width,
  hidden,
  vocabulary,
  shapes,
  conversion: { kind: "bert-safetensors-to-gguf", title: "tiny", heads: 2, layerNormEpsilon: 1e-12 },
} as const;

/** A safetensors file of the given tensors, filled with 0, 1/8, 2/8 and so on. */
export function safetensors(tensors: Record<string, number[]>): Buffer {
  let elements = 0;
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  for (const [name, shape] of Object.entries(tensors)) {
    const start = elements * 4;
    elements += shape.reduce((product, length) => product * length, 1);
    header[name] = { dtype: "F32", shape, data_offsets: [start, elements * 4] };
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const values = Float32Array.from({ length: elements }, (_, index) => index / 8);
  return Buffer.concat([length, json, new Uint8Array(values.buffer)]);
}
