import { type GgufValue, ggufFileTypes, ggufPoolingTypes, ggufTokenTypes } from "./gguf-format.ts";

export interface BertShape {
  /** `general.name`. */
  title: string;
  layers: number;
  contextTokens: number;
  embeddingLength: number;
  feedForwardLength: number;
  heads: number;
  layerNormEpsilon: number;
  tokenTypes: number;
  /** `F16` where the matrices are half precision. */
  weights: "F32" | "F16";
}

/** The five tokens of a BERT vocabulary that stand for no text. */
const specialTokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] as const;

/**
 * The metadata of a mean-pooling BERT as llama.cpp reads it, keys in its converter's order.
 *
 * `vocabulary` is word pieces in the order of their ids, as in `vocab.txt`: a piece that starts a word is written with
 * U+2581 before it, a `##` continuation without its mark, special tokens as they are. The vocabulary must hold all
 * five special tokens; throws an `Error` otherwise.
 * Source: `BertModel` of llama.cpp's `convert_hf_to_gguf.py`, constants of the `gguf` Python package.
 */
export function bertMetadata(shape: BertShape, vocabulary: readonly string[]): [key: string, value: GgufValue][] {
  const special = new Set<string>(specialTokens);
  const idOf = (token: (typeof specialTokens)[number]): GgufValue => {
    const id = vocabulary.indexOf(token);
    if (id < 0) throw new Error(`the vocabulary has no ${token}`);
    return { type: "uint32", value: id };
  };
  const count = (value: number): GgufValue => ({ type: "uint32", value });
  const fileType = Object.entries(ggufFileTypes).find(([, name]) => name === shape.weights);
  return [
    ["general.architecture", { type: "string", value: "bert" }],
    ["general.type", { type: "string", value: "model" }],
    ["general.name", { type: "string", value: shape.title }],
    ["bert.block_count", count(shape.layers)],
    ["bert.context_length", count(shape.contextTokens)],
    ["bert.embedding_length", count(shape.embeddingLength)],
    ["bert.feed_forward_length", count(shape.feedForwardLength)],
    ["bert.attention.head_count", count(shape.heads)],
    ["bert.attention.layer_norm_epsilon", { type: "float32", value: shape.layerNormEpsilon }],
    ["general.file_type", count(Number(fileType?.[0]))],
    ["bert.attention.causal", { type: "bool", value: false }],
    ["bert.pooling_type", count(ggufPoolingTypes.mean)],
    ["tokenizer.ggml.token_type_count", count(shape.tokenTypes)],
    ["tokenizer.ggml.model", { type: "string", value: "bert" }],
    ["tokenizer.ggml.pre", { type: "string", value: "default" }],
    [
      "tokenizer.ggml.tokens",
      { type: "array", of: "string", value: vocabulary.map((piece) => spelled(piece, special)) },
    ],
    [
      "tokenizer.ggml.token_type",
      {
        type: "array",
        of: "int32",
        value: vocabulary.map((piece) => (special.has(piece) ? ggufTokenTypes.control : ggufTokenTypes.normal)),
      },
    ],
    // llama.cpp puts this one first in every text; without it, it takes id 101 whatever that is.
    ["tokenizer.ggml.bos_token_id", idOf("[CLS]")],
    ["tokenizer.ggml.unknown_token_id", idOf("[UNK]")],
    // llama.cpp spells this key so.
    ["tokenizer.ggml.seperator_token_id", idOf("[SEP]")],
    ["tokenizer.ggml.padding_token_id", idOf("[PAD]")],
    ["tokenizer.ggml.cls_token_id", idOf("[CLS]")],
    ["tokenizer.ggml.mask_token_id", idOf("[MASK]")],
  ];
}

function spelled(piece: string, special: ReadonlySet<string>): string {
  if (special.has(piece)) return piece;
  return piece.startsWith("##") ? piece.slice(2) : `\u2581${piece}`;
}
