import { closeSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { eightBitsBytes, offsetFormats, q8_0, toEightBits } from "./eight-bits.ts";
import { type GgufHeader, type GgufHeaderTensor, readGgufHeader } from "./gguf-header.ts";

/** Node reads and writes no more than 2 GiB at once. */
const mostAtOnceBytes = 2 ** 30;
/** Of a file's bytes of weights, so much must be of formats that are read slowly. */
const leastShare = 0.5;

/**
 * Bytes that a reading copy of this file takes, or `undefined` where it would not be read faster than the file itself: a
 * copy turns weights of {@link offsetFormats} into Q8_0, of which llama.cpp multiplies many tokens at once.
 */
export function readingCopyBytes(header: GgufHeader): number | undefined {
  const { tensors, sizeBytes, dataStartBytes } = header;
  if (tensors.some((tensor) => tensor.sizeBytes === undefined)) return undefined;
  const slow = tensors.filter(({ type }) => offsetFormats.has(type));
  const slowBytes = slow.reduce((sum, tensor) => sum + (tensor.sizeBytes ?? 0), 0);
  return slowBytes < leastShare * (sizeBytes - dataStartBytes) ? undefined : layoutOf(header).sizeBytes;
}

/**
 * Writes a copy of the GGUF `source` to `target` with every tensor of {@link offsetFormats} as Q8_0; all else is the same,
 * in the same order. One tensor is in memory at a time. Throws the system's error where it cannot write.
 */
export function writeReadingCopy({ source, target }: { source: string; target: string }): void {
  const header = readGgufHeader(source);
  const { dataStartBytes } = header;
  const { places, sizeBytes: copyBytes } = layoutOf(header);
  const from = openSync(source, "r");
  let to: number | undefined;
  try {
    to = openSync(target, "w");
    ftruncateSync(to, copyBytes);
    const start = readAt(from, { offsetBytes: 0, sizeBytes: dataStartBytes });
    for (const { tensor, startBytes } of places) {
      const { type, typeAtBytes, offsetBytes, sizeBytes = 0 } = tensor;
      const bytes = readAt(from, { offsetBytes, sizeBytes });
      const isSlow = offsetFormats.has(type);
      writeAt(to, isSlow ? toEightBits(bytes, type) : bytes, dataStartBytes + startBytes);
      if (isSlow) start.writeUInt32LE(q8_0, typeAtBytes);
      start.writeBigUInt64LE(BigInt(startBytes), typeAtBytes + 4);
    }
    writeAt(to, start, 0);
    // Its length is all that is looked at later.
    fsyncSync(to);
  } finally {
    closeSync(from);
    if (to !== undefined) closeSync(to);
  }
}

/** Where each tensor's data begins in the copy, from the first one's, and how long the copy is. */
function layoutOf({ tensors, dataStartBytes, alignmentBytes }: GgufHeader) {
  let next = 0;
  const places = tensors.map((tensor) => {
    const startBytes = next;
    next = Math.ceil((startBytes + copiedBytes(tensor)) / alignmentBytes) * alignmentBytes;
    return { tensor, startBytes };
  });
  return { places, sizeBytes: dataStartBytes + next };
}

function copiedBytes({ type, sizeBytes = 0 }: GgufHeaderTensor): number {
  return offsetFormats.has(type) ? eightBitsBytes(sizeBytes, type) : sizeBytes;
}

function readAt(file: number, { offsetBytes, sizeBytes }: { offsetBytes: number; sizeBytes: number }): Buffer {
  const bytes = Buffer.allocUnsafe(sizeBytes);
  let done = 0;
  while (done < sizeBytes) {
    const read = readSync(file, bytes, done, Math.min(mostAtOnceBytes, sizeBytes - done), offsetBytes + done);
    if (read === 0) throw new Error("the model's file became shorter while it was copied");
    done += read;
  }
  return bytes;
}

function writeAt(file: number, bytes: Uint8Array, offsetBytes: number): void {
  let done = 0;
  while (done < bytes.length) {
    done += writeSync(file, bytes, done, Math.min(mostAtOnceBytes, bytes.length - done), offsetBytes + done);
  }
}
