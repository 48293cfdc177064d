import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { bertMetadata } from "../../worker-node/models/bert-metadata.ts";
import { type GgufValue, ggufTokenTypes } from "../../worker-node/models/gguf-format.ts";
import { type WritableTensor, writeGguf } from "../../worker-node/models/gguf-writer.ts";
import { byteAlphabet, tinyBertVocabulary, tinyChatVocabulary } from "./tiny-vocabulary.ts";

/** ChatML, as SmolLM2 has it, without its own system prompt. */
export const tinyChatTemplate =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/** Channel of the residual stream that holds the same value at every position, so that a logit can have a bias. */
const biasChannel = 0;

/**
 * Writes a chat model with random weights that llama.cpp loads and runs: llama architecture, two layers, byte-level
 * BPE that reads and writes any UTF-8 text, ChatML. The same seed gives the same bytes on every machine.
 *
 * It answers in printable ASCII, never ends its turn (so that answers run to `max_tokens`), and each token depends on
 * all before it. `path`'s folder is made where it is missing.
 */
export function writeTinyChatModel(
  path: string,
  { seed, contextTokens = 4_096 }: { seed: number; contextTokens?: number },
): void {
  const width = 64;
  const hidden = 128;
  const layers = 2;
  const heads = 4;
  const { tokens, merges, special } = tinyChatVocabulary;
  const count = (value: number): GgufValue => ({ type: "uint32", value });
  const random = seededNormal(seed);

  const embedding = random(tokens.length * width, 1);
  const output = random(tokens.length * width, 0.35);
  for (const [id, token] of tokens.entries()) {
    embedding[id * width + biasChannel] = 2;
    const row = output.subarray(id * width, (id + 1) * width);
    if (!isPrintable(token)) row.fill(0);
    // The channel is positive everywhere, so this puts the logit out of reach at any usual temperature.
    row[biasChannel] = isPrintable(token) ? 0 : -25;
  }
  const matrix = (name: string, shape: [inputs: number, outputs: number], deviation: number) =>
    f32(name, shape, random(shape[0] * shape[1], deviation));
  /** A matrix that adds to the residual stream and leaves its bias channel alone. */
  const intoStream = (name: string, inputs: number, deviation: number) => {
    const values = random(inputs * width, deviation);
    values.fill(0, biasChannel * inputs, (biasChannel + 1) * inputs);
    return f32(name, [inputs, width], values);
  };
  const inLayer = (layer: number): WritableTensor[] => [
    f32(`blk.${layer}.attn_norm.weight`, [width], new Float32Array(width).fill(1)),
    matrix(`blk.${layer}.attn_q.weight`, [width, width], 0.2),
    matrix(`blk.${layer}.attn_k.weight`, [width, width], 0.2),
    matrix(`blk.${layer}.attn_v.weight`, [width, width], 0.2),
    intoStream(`blk.${layer}.attn_output.weight`, width, 0.2),
    f32(`blk.${layer}.ffn_norm.weight`, [width], new Float32Array(width).fill(1)),
    matrix(`blk.${layer}.ffn_gate.weight`, [width, hidden], 0.15),
    matrix(`blk.${layer}.ffn_up.weight`, [width, hidden], 0.15),
    intoStream(`blk.${layer}.ffn_down.weight`, hidden, 0.1),
  ];

  mkdirSync(dirname(path), { recursive: true });
  writeGguf(path, {
    metadata: [
      ["general.architecture", { type: "string", value: "llama" }],
      ["general.name", { type: "string", value: `tiny chat ${seed}` }],
      ["general.file_type", count(0)],
      ["llama.block_count", count(layers)],
      ["llama.context_length", count(contextTokens)],
      ["llama.embedding_length", count(width)],
      ["llama.feed_forward_length", count(hidden)],
      ["llama.attention.head_count", count(heads)],
      ["llama.attention.head_count_kv", count(heads)],
      ["llama.attention.layer_norm_rms_epsilon", { type: "float32", value: 1e-5 }],
      ["llama.rope.dimension_count", count(width / heads)],
      ["llama.rope.freq_base", { type: "float32", value: 10_000 }],
      ["llama.vocab_size", count(tokens.length)],
      ["tokenizer.ggml.model", { type: "string", value: "gpt2" }],
      ["tokenizer.ggml.pre", { type: "string", value: "smollm" }],
      ["tokenizer.ggml.tokens", { type: "array", of: "string", value: tokens }],
      [
        "tokenizer.ggml.token_type",
        {
          type: "array",
          of: "int32",
          value: tokens.map((token) =>
            token.startsWith("<|") && token.length > 2 ? ggufTokenTypes.control : ggufTokenTypes.normal,
          ),
        },
      ],
      ["tokenizer.ggml.merges", { type: "array", of: "string", value: merges }],
      ["tokenizer.ggml.bos_token_id", count(special.turnStart)],
      ["tokenizer.ggml.eos_token_id", count(special.turnEnd)],
      ["tokenizer.ggml.eot_token_id", count(special.turnEnd)],
      ["tokenizer.ggml.unknown_token_id", count(special.textEnd)],
      ["tokenizer.ggml.padding_token_id", count(special.turnEnd)],
      ["tokenizer.ggml.add_bos_token", { type: "bool", value: false }],
      ["tokenizer.ggml.add_space_prefix", { type: "bool", value: false }],
      ["tokenizer.chat_template", { type: "string", value: tinyChatTemplate }],
    ],
    tensors: [
      f32("token_embd.weight", [width, tokens.length], embedding),
      ...Array.from({ length: layers }, (_, layer) => inLayer(layer)).flat(),
      f32("output_norm.weight", [width], new Float32Array(width).fill(1)),
      f32("output.weight", [width, tokens.length], output),
    ],
  });
}

/**
 * Writes a sentence encoder with random weights: BERT architecture, two layers, mean pooling, 32 numbers a vector,
 * letters and a few words as its vocabulary. Texts that share words are closer than texts that do not. The same seed gives the same bytes on every machine.
 */
export function writeTinyEmbeddingModel(path: string, { seed }: { seed: number }): void {
  const width = 32;
  const hidden = 64;
  const layers = 2;
  const contextTokens = 512;
  const random = seededNormal(seed);
  const matrix = (name: string, shape: [inputs: number, outputs: number], deviation = 0.1) =>
    f32(name, shape, random(shape[0] * shape[1], deviation));
  const linear = (name: string, shape: [inputs: number, outputs: number]) => [
    matrix(`${name}.weight`, shape),
    f32(`${name}.bias`, [shape[1]], random(shape[1], 0.05)),
  ];
  const norm = (name: string) => [
    f32(`${name}.weight`, [width], new Float32Array(width).fill(1)),
    f32(`${name}.bias`, [width], new Float32Array(width)),
  ];
  const inLayer = (layer: number) => [
    ...linear(`blk.${layer}.attn_q`, [width, width]),
    ...linear(`blk.${layer}.attn_k`, [width, width]),
    ...linear(`blk.${layer}.attn_v`, [width, width]),
    ...linear(`blk.${layer}.attn_output`, [width, width]),
    ...norm(`blk.${layer}.attn_output_norm`),
    ...linear(`blk.${layer}.ffn_up`, [width, hidden]),
    ...linear(`blk.${layer}.ffn_down`, [hidden, width]),
    ...norm(`blk.${layer}.layer_output_norm`),
  ];

  mkdirSync(dirname(path), { recursive: true });
  writeGguf(path, {
    metadata: bertMetadata(
      {
        title: `tiny embedding ${seed}`,
        layers,
        contextTokens,
        embeddingLength: width,
        feedForwardLength: hidden,
        heads: 4,
        layerNormEpsilon: 1e-12,
        tokenTypes: 2,
        weights: "F32",
      },
      tinyBertVocabulary,
    ),
    tensors: [
      // Words weigh far more than places, so that texts of the same words come out near each other.
      matrix("token_embd.weight", [width, tinyBertVocabulary.length], 1),
      matrix("position_embd.weight", [width, contextTokens], 0.05),
      matrix("token_types.weight", [width, 2], 0.05),
      ...norm("token_embd_norm"),
      ...Array.from({ length: layers }, (_, layer) => inLayer(layer)).flat(),
    ],
  });
}

function f32(name: string, shape: readonly number[], values: Float32Array): WritableTensor {
  return { name, shape, type: "F32", data: () => new Uint8Array(values.buffer) };
}

/** Whether a token is only visible ASCII, spaces and line ends; control tokens are not. */
function isPrintable(token: string): boolean {
  if (token.startsWith("<|") && token.length > 2) return false;
  return [...token].every((character) => {
    const byte = byteAlphabet.indexOf(character);
    return byte === 10 || (byte >= 32 && byte < 127);
  });
}

/**
 * Values of about normal distribution, mean 0, from a seed. Sums of four uniform values, since `Math.log` and
 * `Math.cos` may differ in their last bit between machines. The generator is mulberry32.
 */
function seededNormal(seed: number): (length: number, deviation: number) => Float32Array<ArrayBuffer> {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  // Four uniform values have a variance of 4/12.
  const scale = Math.sqrt(3);
  return (length, deviation) => {
    const values = new Float32Array(length);
    for (let index = 0; index < length; index++) {
      values[index] = (uniform() + uniform() + uniform() + uniform() - 2) * scale * deviation;
    }
    return values;
  };
}
