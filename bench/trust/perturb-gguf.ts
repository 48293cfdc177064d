import { closeSync, copyFileSync, openSync, readSync, writeSync } from "node:fs";
import { fromFloat16, toFloat16 } from "../../worker-node/models/float16.ts";
import { ggufTensorTypes } from "../../worker-node/models/gguf-format.ts";
import { type GgufHeaderTensor, readGgufHeader } from "../../worker-node/models/gguf-header.ts";

/** Number of Q4_1 in the file: blocks of 32 weights `d·q + m`, d and m as float16 before 16 bytes of q. */
const q4_1 = 3;

/**
 * Copies a GGUF and multiplies the weights of each Q4_1 block by 1 + `relativeSize` × a normal draw, so that every
 * weight of a block is off by the same share: a stand-in for a fine-tune, of a size that can be stated. Other tensors
 * stay as they are. The same `seed` gives the same bytes. Returns how many weights were touched, of how many; throws
 * where there is no Q4_1 tensor.
 */
export function perturbGguf({
  source,
  target,
  relativeSize,
  seed,
}: {
  source: string;
  target: string;
  relativeSize: number;
  seed: number;
}): { touched: number; weights: number } {
  const { tensors } = readGgufHeader(source);
  const elements = ({ shape }: GgufHeaderTensor) => shape.reduce((product, length) => product * length, 1);
  const blocks = tensors.filter(({ type }) => type === q4_1);
  if (blocks.length === 0) throw new Error(`${source} has no tensor of Q4_1`);
  copyFileSync(source, target);
  const normal = normalDraws(seed);
  const file = openSync(target, "r+");
  try {
    for (const { offsetBytes, sizeBytes = 0 } of blocks) {
      const bytes = Buffer.alloc(sizeBytes);
      readSync(file, bytes, 0, sizeBytes, offsetBytes);
      scaleBlocks(bytes, () => 1 + relativeSize * normal());
      writeSync(file, bytes, 0, sizeBytes, offsetBytes);
    }
  } finally {
    closeSync(file);
  }
  const sum = (some: readonly GgufHeaderTensor[]) => some.reduce((total, tensor) => total + elements(tensor), 0);
  return { touched: sum(blocks), weights: sum(tensors) };
}

/** Scale and least value of each block, both by the same factor. */
function scaleBlocks(bytes: Buffer, factor: () => number): void {
  const blockBytes = ggufTensorTypes.get(q4_1)?.blockBytes ?? 0;
  for (let start = 0; start + blockBytes <= bytes.length; start += blockBytes) {
    const by = factor();
    const [scale = 0, least = 0] = toFloat16(
      Float32Array.of(fromFloat16(bytes.readUInt16LE(start)) * by, fromFloat16(bytes.readUInt16LE(start + 2)) * by),
    );
    bytes.writeUInt16LE(scale, start);
    bytes.writeUInt16LE(least, start + 2);
  }
}

/** Draws of a standard normal distribution by Box and Muller, from mulberry32. */
function normalDraws(seed: number): () => number {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (((mixed ^ (mixed >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}
