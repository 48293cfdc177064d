/** The second word of every key: "cort" in ASCII. The first is the task's seed. */
const keyDomain = 0x636f7274;

/** Constants of Philox4x32 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"). */
const philox = { multipliers: [0xd2511f53, 0xcd9e8d57], bumps: [0x9e3779b9, 0xbb67ae85], rounds: 10 } as const;

/** Where in an answer a token stands: the task's seed (32 bits), the position counted from 0, and the token's id. */
export interface NoisePlace {
  seed: number;
  position: number;
  tokenId: number;
}

/**
 * Standard Gumbel noise of one token at one position of an answer: −ln(−ln u), between −3.61 and 36.74.
 *
 * `u` is ({@link philoxWords}' first word × 2²⁰ + the upper 20 bits of its second + ½) / 2⁵². A function of its place
 * alone, so that whoever knows the seed draws it again, at any position, without having drawn what was before it
 * (docs/SAMPLING.md).
 */
export function gumbelNoise(place: NoisePlace): number {
  const [first, second] = philoxWords(place);
  const u = (first * 2 ** 20 + (second >>> 12) + 0.5) / 2 ** 52;
  return -Math.log(-Math.log(u));
}

/** The first two of the four words, 32 bits each, that Philox4x32-10 makes of counter (position, token, 0, 0). */
export function philoxWords({ seed, position, tokenId }: NoisePlace): readonly [number, number] {
  const [first, second] = philox4x32([position >>> 0, tokenId >>> 0, 0, 0], [seed >>> 0, keyDomain]);
  return [first, second];
}

/** Philox4x32 with ten rounds: a counter of four 32-bit words and a key of two give four words. */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): readonly [number, number, number, number] {
  let [a, b, c, d] = counter;
  let [left, right] = key;
  for (let round = 0; round < philox.rounds; round++) {
    const highA = highWord(philox.multipliers[0], a);
    const lowA = Math.imul(philox.multipliers[0], a) >>> 0;
    const highC = highWord(philox.multipliers[1], c);
    const lowC = Math.imul(philox.multipliers[1], c) >>> 0;
    a = (highC ^ b ^ left) >>> 0;
    b = lowC;
    c = (highA ^ d ^ right) >>> 0;
    d = lowA;
    left = (left + philox.bumps[0]) >>> 0;
    right = (right + philox.bumps[1]) >>> 0;
  }
  return [a, b, c, d];
}

/** The upper 32 bits of the product of two unsigned 32-bit numbers. */
function highWord(one: number, other: number): number {
  const oneLow = one & 0xffff;
  const oneHigh = one >>> 16;
  const otherLow = other & 0xffff;
  const otherHigh = other >>> 16;
  const low = oneLow * otherLow;
  const middle = oneHigh * otherLow + (low >>> 16);
  const cross = oneLow * otherHigh + (middle & 0xffff);
  return (oneHigh * otherHigh + Math.floor(middle / 2 ** 16) + Math.floor(cross / 2 ** 16)) >>> 0;
}
