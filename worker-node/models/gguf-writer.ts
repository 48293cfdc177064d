import { closeSync, openSync, writeSync } from "node:fs";
import {
  defaultAlignment,
  type GgufArray,
  type GgufNumberType,
  type GgufScalar,
  type GgufValue,
  ggufMagic,
  ggufValueTypes,
  ggufVersion,
} from "./gguf-format.ts";

export type WritableTensorType = "F32" | "F16";

export interface WritableTensor {
  name: string;
  /** Dimensions, the fastest-changing one first: a matrix of `rows` outputs from `columns` inputs is `[columns, rows]`. */
  shape: readonly number[];
  type: WritableTensorType;
  /** Values in row order, little endian; called once, when its turn to be written comes. */
  data: () => Uint8Array;
}

export interface WritableGguf {
  /** Written in this order. */
  metadata: readonly (readonly [key: string, value: GgufValue])[];
  /** Written in this order. */
  tensors: readonly WritableTensor[];
}

/** Number in the file and bytes of one element. */
const tensorTypes = { F32: { code: 0, elementBytes: 4 }, F16: { code: 1, elementBytes: 2 } } as const;

/**
 * Writes a GGUF version 3 file, little endian, tensors aligned to 32 bytes. The same input gives the same bytes on
 * every machine. Only one tensor's data is in memory at a time. Replaces what stands at `path`; throws the system's
 * error where it cannot write, and an `Error` where a tensor's data is not as long as its shape says.
 */
export function writeGguf(path: string, { metadata, tensors }: WritableGguf): void {
  const file = openSync(path, "w");
  try {
    let position = 0;
    const write = (bytes: Uint8Array) => {
      let written = 0;
      while (written < bytes.length) written += writeSync(file, bytes, written);
      position += bytes.length;
    };
    const align = () => write(Buffer.alloc(-position & (defaultAlignment - 1)));

    write(headerBytes({ metadata, tensors }));
    align();
    for (const tensor of tensors) {
      const data = tensor.data();
      if (data.length !== tensorBytes(tensor)) {
        throw new Error(`tensor ${tensor.name} has ${data.length} bytes, its shape asks for ${tensorBytes(tensor)}`);
      }
      write(data);
      align();
    }
  } finally {
    closeSync(file);
  }
}

function headerBytes({ metadata, tensors }: WritableGguf): Buffer {
  const parts = [encode.uint32(ggufMagic), encode.uint32(ggufVersion), encode.uint64(BigInt(tensors.length))];
  parts.push(encode.uint64(BigInt(metadata.length)));
  for (const [key, value] of metadata) {
    parts.push(stringBytes(key), encode.uint32(ggufValueTypes[value.type]), valueBytes(value));
  }
  let offsetBytes = 0;
  for (const tensor of tensors) {
    parts.push(stringBytes(tensor.name), encode.uint32(tensor.shape.length));
    for (const length of tensor.shape) parts.push(encode.uint64(BigInt(length)));
    parts.push(encode.uint32(tensorTypes[tensor.type].code), encode.uint64(BigInt(offsetBytes)));
    offsetBytes += Math.ceil(tensorBytes(tensor) / defaultAlignment) * defaultAlignment;
  }
  return Buffer.concat(parts);
}

const tensorBytes = ({ shape, type }: WritableTensor) =>
  shape.reduce((product, length) => product * length, tensorTypes[type].elementBytes);

function valueBytes(value: GgufValue): Buffer {
  return value.type === "array" ? arrayBytes(value) : scalarBytes(value);
}

function scalarBytes(scalar: GgufScalar): Buffer {
  switch (scalar.type) {
    case "string":
      return stringBytes(scalar.value);
    case "bool":
      return encode.uint8(scalar.value ? 1 : 0);
    case "uint64":
    case "int64":
      return encode[scalar.type](scalar.value);
    default:
      return encode[scalar.type](scalar.value);
  }
}

function arrayBytes(array: GgufArray): Buffer {
  const start = [encode.uint32(ggufValueTypes[array.of]), encode.uint64(BigInt(array.value.length))];
  return Buffer.concat([...start, ...entryBytes(array)]);
}

function entryBytes(array: GgufArray): Buffer[] {
  switch (array.of) {
    case "string":
      return array.value.map(stringBytes);
    case "bool":
      return array.value.map((entry) => encode.uint8(entry ? 1 : 0));
    case "uint64":
    case "int64":
      return array.value.map(encode[array.of]);
    default:
      return array.value.map(encode[array.of]);
  }
}

function stringBytes(value: string): Buffer {
  const bytes = Buffer.from(value, "utf8");
  return Buffer.concat([encode.uint64(BigInt(bytes.length)), bytes]);
}

const filled = (lengthBytes: number, fill: (bytes: Buffer) => number): Buffer => {
  const bytes = Buffer.alloc(lengthBytes);
  fill(bytes);
  return bytes;
};

const encode = {
  uint8: (value: number) => filled(1, (bytes) => bytes.writeUInt8(value)),
  int8: (value: number) => filled(1, (bytes) => bytes.writeInt8(value)),
  uint16: (value: number) => filled(2, (bytes) => bytes.writeUInt16LE(value)),
  int16: (value: number) => filled(2, (bytes) => bytes.writeInt16LE(value)),
  uint32: (value: number) => filled(4, (bytes) => bytes.writeUInt32LE(value)),
  int32: (value: number) => filled(4, (bytes) => bytes.writeInt32LE(value)),
  float32: (value: number) => filled(4, (bytes) => bytes.writeFloatLE(value)),
  float64: (value: number) => filled(8, (bytes) => bytes.writeDoubleLE(value)),
  uint64: (value: bigint) => filled(8, (bytes) => bytes.writeBigUInt64LE(value)),
  int64: (value: bigint) => filled(8, (bytes) => bytes.writeBigInt64LE(value)),
} satisfies Record<GgufNumberType, (value: number) => Buffer> & Record<"uint64" | "int64", (value: bigint) => Buffer>;
