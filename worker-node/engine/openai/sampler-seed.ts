/** llama.cpp reads this seed as "draw one" (`LLAMA_DEFAULT_SEED`), so an answer could not be repeated. */
const drawnSeed = 0xffff_ffff;

/**
 * The seed of an answer's sampler from token `position` on, 32 bits; at 0 the task's own, but for the one that llama.cpp
 * takes for none.
 *
 * A sampler begun anew with the task's seed would draw the same numbers that chose the first tokens, and so lean
 * towards repeating them. The mixing is MurmurHash3's finaliser.
 */
export function samplerSeed({ seed, position }: { seed: number; position: number }): number {
  const own = position === 0 ? seed : mix(seed, position);
  return own === drawnSeed ? drawnSeed - 1 : own;
}

function mix(seed: number, position: number): number {
  let mixed = seed ^ Math.imul(position, 0x9e37_79b1);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
