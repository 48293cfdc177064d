import { mkdir, readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { modelHashSchema, randomText } from "../../core/ids.ts";
import { type ModelName, modelNameSchema } from "../../core/model/model-card.ts";
import { modelDir } from "./cache-dir.ts";
import { explainFileError, ModelError, systemErrorCode } from "./model-error.ts";

/**
 * What the node knows of a file it holds. Size and time of change stand in for the hash at each start, so that a
 * model of many GB is hashed once and not every time.
 */
const modelRecordSchema = z.strictObject({
  name: modelNameSchema,
  /** Absolute; outside the cache where the owner added a file of theirs. */
  path: z.string(),
  fileSha256: modelHashSchema,
  sizeBytes: z.int().nonnegative(),
  modifiedMs: z.number(),
});
export type ModelRecord = z.infer<typeof modelRecordSchema>;

/** How the file on disk compares with its record, by size and time of change alone. */
export type FileState = "held" | "changed" | "missing";

const recordPath = (cacheDir: string, name: ModelName) => join(modelDir(cacheDir, name), "model.json");

/** The record of that name, or `undefined`. Throws `ModelError` `broken_record` where it cannot be read as one. */
export async function readRecord(cacheDir: string, name: ModelName): Promise<ModelRecord | undefined> {
  const path = recordPath(cacheDir, name);
  let json: string;
  try {
    json = await readFile(path, "utf8");
  } catch (cause) {
    if (systemErrorCode(cause) === "ENOENT") return undefined;
    throw explainFileError(cause, path);
  }
  try {
    return modelRecordSchema.parse(JSON.parse(json));
  } catch (cause) {
    throw new ModelError("broken_record", `${path} is damaged. Delete it, then pull or add the model again.`, {
      cause,
    });
  }
}

/** All records, by name. Empty where nothing was pulled or added yet. Throws as {@link readRecord}. */
export async function listRecords(cacheDir: string): Promise<ModelRecord[]> {
  const path = join(cacheDir, "models");
  let entries: string[];
  try {
    entries = await readdir(path);
  } catch (cause) {
    if (systemErrorCode(cause) === "ENOENT") return [];
    throw explainFileError(cause, path);
  }
  const names = entries.sort().flatMap((entry) => modelNameSchema.safeParse(entry).data ?? []);
  const records = await Promise.all(names.map((name) => readRecord(cacheDir, name)));
  return records.flatMap((record) => record ?? []);
}

/**
 * Records the file at `path` as it stands now, replacing an earlier record of that name in one step, so that a reader
 * sees the old or the new. Throws `ModelError` `file_missing`, `disk_full`, `permission_denied`.
 */
export async function writeRecord(
  cacheDir: string,
  { name, path, fileSha256 }: Pick<ModelRecord, "name" | "path" | "fileSha256">,
): Promise<ModelRecord> {
  const target = recordPath(cacheDir, name);
  try {
    const { size, mtimeMs } = await stat(path);
    const record: ModelRecord = { name, path, fileSha256, sizeBytes: size, modifiedMs: mtimeMs };
    await mkdir(modelDir(cacheDir, name), { recursive: true });
    const fresh = `${target}.${randomText(8)}`;
    await writeFile(fresh, `${JSON.stringify(record, null, 2)}\n`);
    await rename(fresh, target);
    return record;
  } catch (cause) {
    throw explainFileError(cause, target);
  }
}

/** Compares the file with its record without reading it. */
export async function fileState(record: ModelRecord): Promise<FileState> {
  try {
    const { size, mtimeMs } = await stat(record.path);
    return size === record.sizeBytes && mtimeMs === record.modifiedMs ? "held" : "changed";
  } catch (cause) {
    const explained = explainFileError(cause, record.path);
    if (explained instanceof ModelError && explained.code === "file_missing") return "missing";
    throw explained;
  }
}
