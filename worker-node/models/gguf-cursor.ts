import { fstatSync, readSync } from "node:fs";
import { ggufValueTypes } from "./gguf-format.ts";
import { ModelError } from "./model-error.ts";

export type GgufHeaderValue = number | bigint | boolean | string | GgufHeaderValue[];

/** Arrays longer than this are vocabularies and merges: walked over unless asked for. */
const keptArrayLength = 4_096;
const deepestArray = 4;

const numberSizes: Readonly<Record<number, number>> = {
  [ggufValueTypes.uint8]: 1,
  [ggufValueTypes.int8]: 1,
  [ggufValueTypes.bool]: 1,
  [ggufValueTypes.uint16]: 2,
  [ggufValueTypes.int16]: 2,
  [ggufValueTypes.uint32]: 4,
  [ggufValueTypes.int32]: 4,
  [ggufValueTypes.float32]: 4,
  [ggufValueTypes.uint64]: 8,
  [ggufValueTypes.int64]: 8,
  [ggufValueTypes.float64]: 8,
};

/**
 * Reads numbers, strings and typed values of a GGUF header forward through an open file, in pieces of 1 MiB.
 * Throws `truncated` past the end of the file and `not_gguf` for what no header can hold.
 */
export class GgufCursor {
  readonly path: string;
  readonly sizeBytes: number;
  readonly #file: number;
  #buffer = Buffer.alloc(0);
  #bufferStart = 0;
  position = 0;

  constructor(file: number, path: string) {
    this.#file = file;
    this.path = path;
    this.sizeBytes = fstatSync(file).size;
  }

  truncated(): ModelError {
    return new ModelError(
      "truncated",
      `${this.path} ends in the middle of the model (${this.sizeBytes} bytes). Download it again.`,
    );
  }

  damaged(): ModelError {
    return new ModelError("not_gguf", `${this.path} starts like a GGUF but its header is damaged. Download it again.`);
  }

  #take(lengthBytes: number): Buffer {
    if (this.position + lengthBytes > this.sizeBytes) throw this.truncated();
    let from = this.position - this.#bufferStart;
    if (from < 0 || from + lengthBytes > this.#buffer.length) {
      const wanted = Math.min(Math.max(lengthBytes, 1 << 20), this.sizeBytes - this.position);
      const buffer = Buffer.allocUnsafe(wanted);
      let filled = 0;
      while (filled < wanted) {
        const got = readSync(this.#file, buffer, filled, wanted - filled, this.position + filled);
        if (got === 0) throw this.truncated();
        filled += got;
      }
      this.#buffer = buffer;
      this.#bufferStart = this.position;
      from = 0;
    }
    this.position += lengthBytes;
    return this.#buffer.subarray(from, from + lengthBytes);
  }

  /** Walks over bytes; past the end of the file the next read finds it truncated. */
  #skip(lengthBytes: number): void {
    this.position += lengthBytes;
  }

  uint32(): number {
    return this.#take(4).readUInt32LE();
  }

  uint64(): number {
    const value = Number(this.#take(8).readBigUInt64LE());
    if (!Number.isSafeInteger(value)) throw this.damaged();
    return value;
  }

  count(largest: number): number {
    const value = this.uint64();
    if (value > largest) throw this.damaged();
    return value;
  }

  string(): string {
    return this.#take(this.uint64()).toString("utf8");
  }

  /** One value of the given type; `undefined` where it is a long array that nobody asked for. */
  value({ type, wanted, depth }: { type: number; wanted: boolean; depth: number }): GgufHeaderValue | undefined {
    if (type === ggufValueTypes.string) return this.string();
    if (type === ggufValueTypes.array) return this.#array(wanted, depth + 1);
    const sizeBytes = numberSizes[type];
    if (sizeBytes === undefined) throw this.damaged();
    return readNumber(this.#take(sizeBytes), type);
  }

  #array(wanted: boolean, depth: number): GgufHeaderValue[] | undefined {
    if (depth > deepestArray) throw this.damaged();
    const type = this.uint32();
    const length = this.uint64();
    if (length > this.sizeBytes) throw this.truncated();
    const kept = wanted || length <= keptArrayLength;
    const entryBytes = numberSizes[type];
    if (!kept && entryBytes !== undefined) {
      this.#skip(length * entryBytes);
      return undefined;
    }
    const values: GgufHeaderValue[] = [];
    for (let index = 0; index < length; index++) {
      if (!kept && type === ggufValueTypes.string) {
        this.#skip(this.uint64());
        continue;
      }
      const value = this.value({ type, wanted: kept, depth });
      if (kept && value !== undefined) values.push(value);
    }
    return kept ? values : undefined;
  }
}

function readNumber(bytes: Buffer, type: number): GgufHeaderValue {
  switch (type) {
    case ggufValueTypes.uint8:
      return bytes.readUInt8();
    case ggufValueTypes.int8:
      return bytes.readInt8();
    case ggufValueTypes.bool:
      return bytes.readUInt8() !== 0;
    case ggufValueTypes.uint16:
      return bytes.readUInt16LE();
    case ggufValueTypes.int16:
      return bytes.readInt16LE();
    case ggufValueTypes.uint32:
      return bytes.readUInt32LE();
    case ggufValueTypes.int32:
      return bytes.readInt32LE();
    case ggufValueTypes.float32:
      return bytes.readFloatLE();
    case ggufValueTypes.uint64:
      return bytes.readBigUInt64LE();
    case ggufValueTypes.int64:
      return bytes.readBigInt64LE();
    default:
      return bytes.readDoubleLE();
  }
}
