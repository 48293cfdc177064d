import type { ModelKind } from "../../core/model/model-card.ts";
import type { GgufHeaderValue } from "./gguf-cursor.ts";
import { type GgufPooling, ggufFileTypes, ggufPoolingTypes, ggufTensorTypes } from "./gguf-format.ts";
import { type GgufHeader, readGgufHeader } from "./gguf-header.ts";
import { ModelError } from "./model-error.ts";

/** What a model file says of itself. */
export interface GgufDescription {
  sizeBytes: number;
  /** `general.architecture`, as `llama`. */
  architecture: string;
  /** `general.name`: free text. */
  title: string | undefined;
  kind: ModelKind;
  pooling: GgufPooling | undefined;
  /** The longest text the model was trained to read, in tokens. */
  trainedContextTokens: number;
  /** Length of a token's vector, and of an embedding. */
  embeddingLength: number;
  /** `general.file_type` in llama.cpp's words, as `Q4_1`; where it is missing, the type most of the bytes have. */
  quantization: string;
  /** Jinja source of the chat template. */
  chatTemplate: string | undefined;
  /** In the order of token ids; only where asked for. `types` are the numbers of `ggufTokenTypes`. */
  vocabulary: { tokens: readonly string[]; types: readonly number[] } | undefined;
}

/** Architectures that only ever embed; others do where the file names a pooling. */
const embeddingArchitectures = /bert|embed|^t5encoder$/;

/**
 * Reads what a GGUF says of itself without loading its tensors; about 50,000 tokens and merges are walked over in
 * tens of milliseconds. `vocabulary: true` also returns the tokens. The disk is read synchronously.
 * Throws `ModelError`: `not_gguf`, `truncated`, `unsupported` (part of a split model, a reranker, a projector),
 * `file_missing`, `permission_denied`.
 */
export function readGguf(path: string, { vocabulary = false }: { vocabulary?: boolean } = {}): GgufDescription {
  const vocabularyKeys = ["tokenizer.ggml.tokens", "tokenizer.ggml.token_type"];
  const header = readGgufHeader(path, { keep: vocabulary ? vocabularyKeys : [] });
  const read = (key: string) => header.metadata.get(key);
  const required = (value: string | number | undefined, key: string) => {
    if (value !== undefined) return value;
    throw new ModelError(
      "unsupported",
      `${path} does not state ${key}, so it is not a language model this node can run.`,
    );
  };

  const architecture = String(required(text(read("general.architecture")), "general.architecture"));
  const ofArchitecture = (key: string) => number(read(`${architecture}.${key}`));
  refuseWhatCannotRun({ path, architecture, header });
  const pooling = poolingName(ofArchitecture("pooling_type"));
  if (pooling === "rank") {
    throw new ModelError("unsupported", `${path} is a reranker; this node runs chat and embedding models.`);
  }
  const embeds =
    embeddingArchitectures.test(architecture) ||
    (pooling !== undefined && pooling !== "none") ||
    read(`${architecture}.attention.causal`) === false;

  return {
    sizeBytes: header.sizeBytes,
    architecture,
    title: text(read("general.name")),
    kind: embeds ? "embedding" : "chat",
    pooling,
    trainedContextTokens: Number(required(ofArchitecture("context_length"), `${architecture}.context_length`)),
    embeddingLength: Number(required(ofArchitecture("embedding_length"), `${architecture}.embedding_length`)),
    quantization: ggufFileTypes[number(read("general.file_type")) ?? -1] ?? mostCommonTensorType(header),
    chatTemplate: text(read("tokenizer.chat_template")),
    vocabulary: vocabulary
      ? {
          tokens: list(read("tokenizer.ggml.tokens")).map(String),
          types: list(read("tokenizer.ggml.token_type")).map(Number),
        }
      : undefined,
  };
}

function refuseWhatCannotRun({
  path,
  architecture,
  header,
}: {
  path: string;
  architecture: string;
  header: GgufHeader;
}) {
  const parts = number(header.metadata.get("split.count")) ?? 1;
  if (parts > 1) {
    throw new ModelError(
      "unsupported",
      `${path} is one of ${parts} parts. Join them with \`llama-gguf-split --merge\` and add the whole file.`,
    );
  }
  if (architecture === "clip" || header.metadata.get("general.type") === "mmproj") {
    throw new ModelError("unsupported", `${path} is an image projector, not a language model. Add the model itself.`);
  }
  if (header.tensors.length === 0) {
    throw new ModelError("unsupported", `${path} holds a vocabulary and no weights. Add the model itself.`);
  }
}

function mostCommonTensorType(header: GgufHeader): string {
  const bytesOf = new Map<string, number>();
  for (const { type, sizeBytes } of header.tensors) {
    const name = ggufTensorTypes.get(type)?.name ?? `type ${type}`;
    bytesOf.set(name, (bytesOf.get(name) ?? 0) + (sizeBytes ?? 0));
  }
  const [most] = [...bytesOf].sort(([, a], [, b]) => b - a);
  return most?.[0] ?? "unknown";
}

function poolingName(value: number | undefined): GgufPooling | undefined {
  switch (value) {
    case ggufPoolingTypes.none:
      return "none";
    case ggufPoolingTypes.mean:
      return "mean";
    case ggufPoolingTypes.cls:
      return "cls";
    case ggufPoolingTypes.last:
      return "last";
    case ggufPoolingTypes.rank:
      return "rank";
    default:
      return undefined;
  }
}

const text = (value: GgufHeaderValue | undefined) => (typeof value === "string" ? value : undefined);
const list = (value: GgufHeaderValue | undefined) => (Array.isArray(value) ? value : []);
const number = (value: GgufHeaderValue | undefined) =>
  typeof value === "number" ? value : typeof value === "bigint" ? Number(value) : undefined;
