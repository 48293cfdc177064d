import { closeSync, openSync } from "node:fs";
import { GgufCursor, type GgufHeaderValue } from "./gguf-cursor.ts";
import { defaultAlignment, ggufMagic, ggufTensorTypes } from "./gguf-format.ts";
import { explainFileError, ModelError } from "./model-error.ts";

export interface GgufHeaderTensor {
  name: string;
  /** Dimensions, the fastest-changing one first. */
  shape: readonly number[];
  /** Number of the type in the file, see `ggufTensorTypes`. */
  type: number;
  /** From the start of the file. */
  offsetBytes: number;
  /** `undefined` where the type is newer than `ggufTensorTypes`. */
  sizeBytes: number | undefined;
  /** Where the header says its type (32 bits), and after it where the data is (64 bits, from {@link GgufHeader.dataStartBytes}). */
  typeAtBytes: number;
}

export interface GgufHeader {
  version: number;
  sizeBytes: number;
  /** Where the tensors' data begins. */
  dataStartBytes: number;
  /** Each tensor's data begins at a multiple of it. */
  alignmentBytes: number;
  metadata: ReadonlyMap<string, GgufHeaderValue>;
  tensors: readonly GgufHeaderTensor[];
}

/** More of these than any real model has; a damaged count stops here instead of filling memory. */
const most = { entries: 65_536, tensors: 1_048_576, dimensions: 8 };

/**
 * Reads a GGUF's metadata and list of tensors; the tensors' data is not read, only checked to be there.
 *
 * Arrays of more than 4,096 entries are left out of `metadata` unless `keep` names their key. Reads the disk
 * synchronously, a few MB. Our own because the engine's reader takes a truncated file for a whole one.
 * Throws {@link ModelError}: `not_gguf`, `truncated`, `unsupported`, `file_missing`, `permission_denied`.
 */
export function readGgufHeader(path: string, { keep = [] }: { keep?: readonly string[] } = {}): GgufHeader {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (cause) {
    throw explainFileError(cause, path);
  }
  try {
    return parseHeader(new GgufCursor(file, path), new Set(keep));
  } catch (cause) {
    throw explainFileError(cause, path);
  } finally {
    closeSync(file);
  }
}

function parseHeader(cursor: GgufCursor, keep: ReadonlySet<string>): GgufHeader {
  if (cursor.sizeBytes < 24 || cursor.uint32() !== ggufMagic) {
    throw new ModelError("not_gguf", `${cursor.path} is not a GGUF file. Download or convert the model as GGUF.`);
  }
  const version = cursor.uint32();
  if (version !== 2 && version !== 3) {
    throw new ModelError(
      "unsupported",
      `${cursor.path} is GGUF version ${version} (or big endian); this node reads versions 2 and 3.`,
    );
  }
  const tensorCount = cursor.count(most.tensors);
  const entryCount = cursor.count(most.entries);
  const metadata = new Map<string, GgufHeaderValue>();
  for (let entry = 0; entry < entryCount; entry++) {
    const key = cursor.string();
    const value = cursor.value({ type: cursor.uint32(), wanted: keep.has(key), depth: 0 });
    if (value !== undefined) metadata.set(key, value);
  }
  const listed: { name: string; shape: number[]; type: number; typeAtBytes: number; relativeBytes: number }[] = [];
  for (let index = 0; index < tensorCount; index++) {
    const name = cursor.string();
    const dimensions = cursor.uint32();
    if (dimensions > most.dimensions) throw cursor.damaged();
    const shape = Array.from({ length: dimensions }, () => cursor.uint64());
    const typeAtBytes = cursor.position;
    listed.push({ name, shape, typeAtBytes, type: cursor.uint32(), relativeBytes: cursor.uint64() });
  }

  const stated = metadata.get("general.alignment");
  const alignmentBytes = typeof stated === "number" && stated > 0 ? stated : defaultAlignment;
  const dataStartBytes = Math.ceil(cursor.position / alignmentBytes) * alignmentBytes;
  const tensors = listed.map(({ name, shape, type, typeAtBytes, relativeBytes }): GgufHeaderTensor => {
    const known = ggufTensorTypes.get(type);
    const elements = shape.reduce((product, length) => product * length, 1);
    const sizeBytes = known && (elements / known.blockElements) * known.blockBytes;
    const offsetBytes = dataStartBytes + relativeBytes;
    if (offsetBytes + (sizeBytes ?? 0) > cursor.sizeBytes) throw cursor.truncated();
    return { name, shape, type, offsetBytes, sizeBytes, typeAtBytes };
  });
  return { version, sizeBytes: cursor.sizeBytes, dataStartBytes, alignmentBytes, metadata, tensors };
}
