/**
 * A 64-bit hash of text as two 32-bit halves: two lanes of multiply and xor over UTF-16 units, each ended with the
 * finaliser of MurmurHash3 (Austin Appleby), so that every bit of the text reaches every bit of the hash. Fast and
 * synchronous; keeps nothing secret and withstands nobody who looks for collisions.
 */
export function hash64(text: string): { high: number; low: number } {
  let high = 0x9e3779b9;
  let low = 0x85ebca6b;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    high = Math.imul(high ^ unit, 0x5bd1e995);
    high ^= high >>> 15;
    low = Math.imul(low ^ unit, 0x01000193);
    low ^= low >>> 13;
  }
  return { high: finish(high ^ text.length), low: finish(low ^ Math.imul(text.length, 0x27d4eb2f)) };
}

/** MurmurHash3's `fmix32`. */
function finish(value: number): number {
  let mixed = value;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
