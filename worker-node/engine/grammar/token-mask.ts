/** Which tokens may come next. */
export class TokenMask {
  readonly #bits: Int32Array;
  readonly #tokens: number;

  /** `bits` has a bit for each token, the lowest first. */
  constructor(bits: Int32Array, { tokens }: { tokens: number }) {
    this.#bits = bits;
    this.#tokens = tokens;
  }

  allows(tokenId: number): boolean {
    return (((this.#bits[tokenId >> 5] ?? 0) >>> (tokenId & 31)) & 1) === 1;
  }

  /** Ids of all that may come, in order; `undefined` where there are more than `most`. */
  ids(most = Number.POSITIVE_INFINITY): number[] | undefined {
    const ids: number[] = [];
    for (const [word, bits] of this.#bits.entries()) {
      for (let rest = bits; rest !== 0; rest &= rest - 1) {
        const id = word * 32 + 31 - Math.clz32(rest & -rest);
        if (id < this.#tokens) ids.push(id);
      }
      if (ids.length > most) return undefined;
    }
    return ids;
  }
}
