import { basename, extname, resolve, sep } from "node:path";
import type { ModelHash } from "../../core/ids.ts";
import { type CatalogueModel, catalogue, findCatalogueModel } from "../../core/model/catalogue.ts";
import { type ModelKind, type ModelName, modelNameSchema } from "../../core/model/model-card.ts";
import { hashFile } from "./file-hash.ts";
import { type GgufDescription, readGguf } from "./gguf-reader.ts";
import { ModelError } from "./model-error.ts";
import { fileState, listRecords, type ModelRecord, readRecord, writeRecord } from "./model-record.ts";

/** A model file that the node holds and can load. */
export interface ResolvedModel {
  name: ModelName;
  path: string;
  fileSha256: ModelHash;
  kind: ModelKind;
  sizeBytes: number;
  quantization: string;
  architecture: string;
  trainedContextTokens: number;
  /** Length of an embedding; absent for chat models. */
  dimensions?: number;
  /** Jinja source; absent where the file has none. */
  chatTemplate?: string;
}

export interface ListedModel {
  name: ModelName;
  kind: ModelKind | undefined;
  sizeBytes: number;
  /** Read from the file, so `undefined` where it is not held. */
  quantization: string | undefined;
  trainedContextTokens: number | undefined;
  state: "held" | "not pulled" | "changed on disk" | "missing";
}

export interface AddModelOptions {
  cacheDir: string;
  /** In place of the name the file has for itself. */
  name?: string | undefined;
  onBytes?: ((doneBytes: number) => void) | undefined;
}

/**
 * Registers a GGUF of the owner's by reference: it stays where it is, is never moved or deleted, and is hashed once.
 *
 * Its name is `name`, else the catalogue's where the catalogue has this very file, else `general.name` or the file's
 * name in lower case. Adding the same path again takes up what changed in it. Throws `ModelError`: `not_gguf`,
 * `truncated`, `unsupported`, `file_missing`, `permission_denied`, `invalid_name`, and `name_taken` where the name
 * stands for another file.
 */
export async function addModel(file: string, { cacheDir, name, onBytes }: AddModelOptions): Promise<ResolvedModel> {
  const path = resolve(file);
  const described = readGguf(path);
  const records = await listRecords(cacheDir);
  const same = records.find((record) => record.path === path && (name === undefined || record.name === name));
  if (same !== undefined && (await fileState(same)) === "held") return resolved(same, described);

  const fileSha256 = await hashFile(path, onBytes);
  const chosen = chooseName({ name: name ?? same?.name, fileSha256, title: described.title, path });
  const inCatalogue = findCatalogueModel(chosen);
  if (inCatalogue !== undefined && inCatalogue.fileSha256 !== fileSha256) {
    throw nameTaken({ name: chosen, path, owner: "the catalogue's model, which is another file" });
  }
  const taken = records.find((record) => record.name === chosen);
  if (taken !== undefined && taken.path !== path && taken.fileSha256 !== fileSha256 && inCatalogue === undefined) {
    throw nameTaken({ name: chosen, path, owner: taken.path });
  }
  return resolved(await writeRecord(cacheDir, { name: chosen, path, fileSha256 }), described);
}

/**
 * The held model of that name, or the GGUF at that path (which is added). Quick: the file's size and time of change
 * are compared with its record, and only a file that was touched is hashed again. Throws `ModelError`:
 * `unknown_model`, `not_pulled`, `file_missing`, `changed_on_disk`, and for a path what {@link addModel} throws.
 */
export async function resolveModel(nameOrPath: string, { cacheDir }: { cacheDir: string }): Promise<ResolvedModel> {
  if (nameOrPath.includes("/") || nameOrPath.includes(sep) || extname(nameOrPath).toLowerCase() === ".gguf") {
    return addModel(nameOrPath, { cacheDir });
  }
  const name = modelNameSchema.safeParse(nameOrPath).data;
  const record = name && (await readRecord(cacheDir, name));
  if (record === undefined) throw notHeld(nameOrPath);

  const state = await fileState(record);
  if (state === "missing") {
    throw new ModelError("file_missing", `${record.path} of ${name} is gone. ${howToGet(record.name)}`);
  }
  if (state === "held") return resolved(record, readGguf(record.path));
  if ((await hashFile(record.path)) !== record.fileSha256) {
    throw new ModelError("changed_on_disk", `${record.path} of ${name} changed on disk. ${howToGet(record.name)}`);
  }
  return resolved(await writeRecord(cacheDir, record), readGguf(record.path));
}

/** The catalogue's models in its order, then those that were added, by name. Files are not hashed. */
export async function listModels({ cacheDir }: { cacheDir: string }): Promise<ListedModel[]> {
  const records = await listRecords(cacheDir);
  const known = catalogue.map((model) => {
    const record = records.find(({ name, fileSha256 }) => name === model.name && fileSha256 === model.fileSha256);
    return record ? listRecord(record) : listNotPulled(model);
  });
  const added = records.filter(({ name }) => findCatalogueModel(name) === undefined).map(listRecord);
  return Promise.all([...known, ...added]);
}

async function listRecord(record: ModelRecord): Promise<ListedModel> {
  const { name, sizeBytes } = record;
  const state = await fileState(record);
  if (state !== "held") {
    const kind = findCatalogueModel(name)?.kind;
    const unread = { quantization: undefined, trainedContextTokens: undefined };
    return { name, kind, sizeBytes, ...unread, state: state === "missing" ? "missing" : "changed on disk" };
  }
  const { kind, quantization, trainedContextTokens } = readGguf(record.path);
  return { name, kind, sizeBytes, quantization, trainedContextTokens, state };
}

const listNotPulled = ({ name, kind, sizeBytes }: CatalogueModel): ListedModel => ({
  name,
  kind,
  sizeBytes,
  quantization: undefined,
  trainedContextTokens: undefined,
  state: "not pulled",
});

function resolved(record: ModelRecord, described: GgufDescription): ResolvedModel {
  const { name, path, fileSha256, sizeBytes } = record;
  const { kind, quantization, architecture, trainedContextTokens, embeddingLength, chatTemplate } = described;
  return {
    ...{ name, path, fileSha256, kind, sizeBytes, quantization, architecture, trainedContextTokens },
    ...(kind === "embedding" ? { dimensions: embeddingLength } : {}),
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
  };
}

function chooseName({
  name,
  fileSha256,
  title,
  path,
}: {
  name: string | undefined;
  fileSha256: ModelHash;
  title: string | undefined;
  path: string;
}): ModelName {
  if (name !== undefined) {
    const parsed = modelNameSchema.safeParse(name);
    if (parsed.success) return parsed.data;
    const rule = "use lower-case letters, digits, dots, dashes and underscores, at most 96";
    throw new ModelError("invalid_name", `${name} cannot be a model's name: ${rule}.`);
  }
  const inCatalogue = catalogue.find((model) => model.fileSha256 === fileSha256);
  if (inCatalogue !== undefined) return inCatalogue.name;
  for (const candidate of [title ?? "", basename(path, extname(path))]) {
    const parsed = modelNameSchema.safeParse(slug(candidate));
    if (parsed.success) return parsed.data;
  }
  throw new ModelError("invalid_name", `${path} has no name that can be used. Choose one with --name.`);
}

/** A text as a model's name, as far as that goes. */
export const slug = (text: string) =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9._]+/g, "-")
    .replace(/^[^a-z0-9]+/, "")
    .slice(0, 96)
    .replace(/[^a-z0-9]+$/, "");

const nameTaken = ({ name, path, owner }: { name: ModelName; path: string; owner: string }) =>
  new ModelError("name_taken", `The name ${name} stands for ${owner}. Add ${path} under another name with --name.`);

function notHeld(name: string): ModelError {
  if (findCatalogueModel(name) !== undefined) {
    return new ModelError("not_pulled", `${name} is not here yet. ${pullCommand(name)}`);
  }
  const names = catalogue.map((model) => model.name).join(", ");
  return new ModelError(
    "unknown_model",
    `There is no model ${name}. The catalogue has ${names}; add a GGUF of yours with \`cortensor-node models add FILE\`.`,
  );
}

const pullCommand = (name: string) => `Run \`cortensor-node models pull ${name}\`.`;
const howToGet = (name: ModelName) =>
  findCatalogueModel(name) === undefined ? "Add it again with `cortensor-node models add FILE`." : pullCommand(name);
