import type { ModelSource, SourceFile } from "../../core/model/catalogue.ts";
import type { PartFile } from "./part-file.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** How far one file has come. */
export interface Progress {
  /** The file and what happens to it, as `model.safetensors from huggingface.co`. */
  label: string;
  doneBytes: number;
  /** `undefined` where it is not known beforehand. */
  totalBytes: number | undefined;
}

export interface OpenSourceOptions {
  environment: Environment;
  onProgress: (progress: Progress) => void;
  signal?: AbortSignal | undefined;
  /** Runs Python 3; `python3` where absent. */
  pythonCommand?: string | undefined;
}

/** One place that files come from. Opened for a pull, closed after it. */
export interface OpenSource {
  /** For messages, as `huggingface.co`. */
  readonly title: string;
  /** Fills the part with the file's bytes; who calls checks them. Throws `ModelError` where they cannot be had. */
  fetch(file: SourceFile, part: PartFile): Promise<void>;
  close(): Promise<void>;
}

export type SourceOf<From extends ModelSource["from"]> = Extract<ModelSource, { from: From }>;
