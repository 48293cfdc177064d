import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { z } from "zod";
import { ModelError } from "./model-error.ts";

/** Far above the header of any model this converts; the format itself allows 100 MB. */
const headerLimitBytes = 16 * 1024 * 1024;

const entrySchema = z.object({
  dtype: z.string(),
  /** Slowest-changing dimension first, as in numpy. */
  shape: z.array(z.int().nonnegative()).max(8),
  data_offsets: z.tuple([z.int().nonnegative(), z.int().nonnegative()]),
});

const headerSchema = z
  .looseObject({ __metadata__: z.record(z.string(), z.string()).optional() })
  .transform(({ __metadata__, ...tensors }) => tensors)
  .pipe(z.record(z.string(), entrySchema));

/** An open safetensors file: its tensors by name, read one at a time. */
export interface Safetensors {
  /** Names in the order of the file. */
  readonly names: readonly string[];
  /** Dimensions, the slowest-changing first. Throws `bad_source_file` where there is no such float32 tensor. */
  shape(name: string): readonly number[];
  /** The values in row order. Throws as `shape`. */
  read(name: string): Float32Array;
  close(): void;
}

/**
 * Opens a safetensors file and reads its header; the caller closes it. Offsets are checked against the file's size.
 * Throws {@link ModelError} `bad_source_file` for anything that is not whole and sound. Little-endian machines only,
 * as all that the engine runs on. Source: the safetensors README, "Format".
 */
export function openSafetensors(path: string): Safetensors {
  const file = openSync(path, "r");
  try {
    const { tensors, dataStart } = readHeader(file, path);
    const find = (name: string) => {
      const found = tensors[name];
      if (found?.dtype === "F32") return found;
      throw new ModelError("bad_source_file", `${path} has no float32 tensor ${name}: it is not the expected model.`);
    };
    return {
      names: Object.keys(tensors),
      shape: (name) => find(name).shape,
      read(name) {
        const [start, end] = find(name).data_offsets;
        const values = new Float32Array((end - start) / 4);
        readFully({ file, path, into: new Uint8Array(values.buffer), positionBytes: dataStart + start });
        return values;
      },
      close: () => closeSync(file),
    };
  } catch (cause) {
    closeSync(file);
    throw cause;
  }
}

function readHeader(file: number, path: string) {
  const broken = (cause?: unknown) =>
    new ModelError("bad_source_file", `${path} is not a whole safetensors file. Pull the model again.`, { cause });
  const sizeBytes = fstatSync(file).size;
  if (sizeBytes < 8) throw broken();
  const length = new Uint8Array(8);
  readFully({ file, path, into: length, positionBytes: 0 });
  const headerBytes = Number(Buffer.from(length).readBigUInt64LE());
  const dataStart = 8 + headerBytes;
  if (headerBytes > headerLimitBytes || dataStart > sizeBytes) throw broken();
  const header = new Uint8Array(headerBytes);
  readFully({ file, path, into: header, positionBytes: 8 });

  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(header));
  } catch (cause) {
    throw broken(cause);
  }
  const parsed = headerSchema.safeParse(json);
  if (!parsed.success) throw broken(parsed.error);
  for (const { dtype, shape, data_offsets } of Object.values(parsed.data)) {
    const [start, end] = data_offsets;
    const elements = shape.reduce((product, size) => product * size, 1);
    if (start > end || dataStart + end > sizeBytes || (dtype === "F32" && end - start !== elements * 4)) throw broken();
  }
  return { tensors: parsed.data, dataStart };
}

function readFully({
  file,
  path,
  into,
  positionBytes,
}: {
  file: number;
  path: string;
  into: Uint8Array;
  positionBytes: number;
}): void {
  let filled = 0;
  while (filled < into.length) {
    const got = readSync(file, into, filled, into.length - filled, positionBytes + filled);
    if (got === 0) throw new ModelError("bad_source_file", `${path} ends too early. Pull the model again.`);
    filled += got;
  }
}
