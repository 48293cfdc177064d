import { fromFloat16, toFloat16 } from "./float16.ts";
import { ggufTensorTypes } from "./gguf-format.ts";

/** Weights of one block, in all formats here. */
const blockWeights = 32;
/** Number of Q8_0 in a GGUF: a scale as float16, then 32 whole numbers. */
export const q8_0 = 8;
const bytesOfBlock = (type: number): number => ggufTensorTypes.get(type)?.blockBytes ?? Number.NaN;

/**
 * Formats with an offset, by their numbers in a GGUF, of which llama.cpp has no kernel that multiplies many tokens at once
 * on a CPU: `d·q + m`, d and m as float16, q of 4 or 5 bits.
 */
export const offsetFormats: ReadonlyMap<number, { bits: 4 | 5 }> = new Map([
  [3, { bits: 4 }],
  [7, { bits: 5 }],
]);

/**
 * Blocks of Q4_1 or Q5_1 as blocks of Q8_0, of as many weights: the same bytes that llama.cpp's quantiser makes of them.
 * Each weight is off by at most 1/226 of its block's largest. Throws `RangeError` for another format and for bytes that
 * are no whole number of blocks.
 */
export function toEightBits(blocks: Uint8Array, type: number): Uint8Array {
  const bits = offsetFormats.get(type)?.bits;
  const [sourceBytes, targetBytes] = [bytesOfBlock(type), bytesOfBlock(q8_0)];
  const count = blocks.length / sourceBytes;
  if (bits === undefined) throw new RangeError(`type ${type} is no format with an offset`);
  if (!Number.isInteger(count)) throw new RangeError(`${blocks.length} bytes are no blocks of ${sourceBytes}`);
  const source = new DataView(blocks.buffer, blocks.byteOffset, blocks.length);
  const result = new Uint8Array(count * targetBytes);
  const target = new DataView(result.buffer);
  const levels = new Int8Array(blockWeights);
  const codes = new Uint8Array(blockWeights);
  const steps = new Float32Array(count);
  for (let block = 0; block < count; block++) {
    const from = block * sourceBytes;
    const scale = fromFloat16(source.getUint16(from, true));
    const least = fromFloat16(source.getUint16(from + 2, true));
    readCodes(codes, { source, from: from + 4, bits });
    const weightOf = (code: number) => Math.fround(Math.fround(code * scale) + least);
    // Every value is one of few, and the ends are the largest.
    const [lowest, highest] = ends(codes);
    const largest = Math.max(Math.abs(weightOf(lowest)), Math.abs(weightOf(highest)));
    const step = Math.fround(largest / 127);
    const perStep = step === 0 ? 0 : Math.fround(1 / step);
    for (let code = lowest; code <= highest; code++) levels[code] = roundAway(Math.fround(weightOf(code) * perStep));
    steps[block] = step;
    const to = block * targetBytes + 2;
    for (let index = 0; index < blockWeights; index++) target.setInt8(to + index, levels[codes[index] ?? 0] ?? 0);
  }
  for (const [block, scale] of toFloat16(steps).entries()) target.setUint16(block * targetBytes, scale, true);
  return result;
}

/** Bytes that {@link toEightBits} makes of so many. */
export const eightBitsBytes = (sizeBytes: number, type: number): number =>
  (sizeBytes / bytesOfBlock(type)) * bytesOfBlock(q8_0);

/** The low four bits of 32 codes stand in 16 bytes, the first half's low; a fifth bit of each in 32 bits before them. */
function readCodes(codes: Uint8Array, { source, from, bits }: { source: DataView; from: number; bits: 4 | 5 }): void {
  const high = bits === 5 ? source.getUint32(from, true) : 0;
  const low = bits === 5 ? from + 4 : from;
  for (let index = 0; index < blockWeights / 2; index++) {
    const byte = source.getUint8(low + index);
    codes[index] = (byte & 0x0f) | (((high >>> index) & 1) << 4);
    codes[index + 16] = (byte >>> 4) | (((high >>> (index + 16)) & 1) << 4);
  }
}

function ends(codes: Uint8Array): [lowest: number, highest: number] {
  let [lowest, highest] = [0xff, 0];
  for (const code of codes) {
    if (code < lowest) lowest = code;
    if (code > highest) highest = code;
  }
  return [lowest, highest];
}

/** To the nearest, halves away from zero, as C's `roundf`. */
const roundAway = (value: number): number => Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
