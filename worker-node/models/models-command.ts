import { catalogue, findCatalogueModel } from "../../core/model/catalogue.ts";
import { hashFile } from "./file-hash.ts";
import { ModelError } from "./model-error.ts";
import { fileState, listRecords, type ModelRecord } from "./model-record.ts";
import type { Environment } from "./model-source.ts";
import { lineProgress, megabytes, type ProgressDisplay, type Terminal, terminalProgress } from "./progress-bar.ts";
import { ensureModel } from "./pull.ts";
import { addModel as addToStore, listModels as listStore, type ResolvedModel } from "./store.ts";

export interface ModelsCommand {
  cacheDir: string;
  /** Takes one line of output, without its end. */
  out: (line: string) => void;
  /** Where a progress bar can be drawn (`process.stderr` on a terminal); progress goes to `out` as lines otherwise. */
  terminal?: Terminal | undefined;
}

/** `models list`: a table of the catalogue and of added models. Throws `ModelError` `broken_record`. */
export async function listModels({ cacheDir, out }: ModelsCommand): Promise<void> {
  const rows = (await listStore({ cacheDir })).map((model) => [
    model.name,
    model.kind ?? "-",
    megabytes(model.sizeBytes),
    model.quantization ?? "-",
    model.trainedContextTokens === undefined ? "-" : `${model.trainedContextTokens} tokens`,
    model.state,
  ]);
  for (const line of table([["name", "kind", "size", "quantisation", "context", "state"], ...rows])) out(line);
}

/**
 * `models pull NAME`: fetches a model of the catalogue; says so where it is held already. Throws `ModelError`
 * `unknown_model` and what `ensureModel` throws.
 */
export async function pullModel({
  name,
  signal,
  environment,
  ...command
}: ModelsCommand & {
  name: string;
  signal?: AbortSignal | undefined;
  environment?: Environment | undefined;
}): Promise<void> {
  const model = findCatalogueModel(name);
  if (model === undefined) {
    const names = catalogue.map((known) => known.name).join(", ");
    throw new ModelError("unknown_model", `The catalogue has no ${name}. It has ${names}.`);
  }
  const record = await withProgress(command, (display) => {
    const { cacheDir } = command;
    const watch = { onProgress: display.update, onNote: display.note };
    return ensureModel(model, { cacheDir, signal, environment, ...watch });
  });
  command.out(`${model.name} is held: ${record.path}`);
}

/**
 * `models verify`: hashes every held file and says how it stands. Returns whether all are what they were when they
 * were pulled or added; nothing is removed.
 */
export async function verifyModels(command: ModelsCommand): Promise<boolean> {
  const records = await listRecords(command.cacheDir);
  if (records.length === 0) command.out("No models are held.");
  let sound = true;
  for (const record of records) {
    // Hashing is quick next to fetching: a log needs no lines of it.
    const quiet = { ...command, out: () => {} };
    const fault = await withProgress(quiet, (display) => findFault(record, display));
    command.out(`${record.name}: ${fault ?? "sound"}`);
    sound &&= fault === undefined;
  }
  return sound;
}

/** `models add FILE [--name NAME]`: registers a GGUF of the owner's and returns it. Throws as `store.ts` does. */
export async function addModel({
  file,
  name,
  ...command
}: ModelsCommand & { file: string; name?: string | undefined }): Promise<ResolvedModel> {
  const { cacheDir, out } = command;
  const model = await addToStore(file, { cacheDir, name });
  const context = `${model.trainedContextTokens} tokens`;
  out(`${model.name}: ${model.kind}, ${megabytes(model.sizeBytes)}, ${model.quantization}, ${context}, ${model.path}`);
  if (model.kind === "chat" && model.chatTemplate === undefined) {
    out(`${model.name} has no chat template of its own.`);
  }
  return model;
}

async function findFault(record: ModelRecord, display: ProgressDisplay): Promise<string | undefined> {
  if ((await fileState(record)) === "missing") return `missing, ${record.path} is gone`;
  const label = `checking ${record.name}`;
  const totalBytes = record.sizeBytes;
  const sha256 = await hashFile(record.path, (doneBytes) => display.update({ label, doneBytes, totalBytes }));
  if (sha256 === record.fileSha256) return undefined;
  return `changed on disk, ${record.path} has SHA-256 ${sha256} and had ${record.fileSha256}`;
}

async function withProgress<Result>(
  { out, terminal }: ModelsCommand,
  work: (display: ProgressDisplay) => Promise<Result>,
): Promise<Result> {
  const display = terminal ? terminalProgress(terminal) : lineProgress(out);
  try {
    return await work(display);
  } finally {
    display.end();
  }
}

/** Columns two spaces apart, each as wide as its widest cell. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
