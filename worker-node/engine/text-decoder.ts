/**
 * Turns the bytes of generated tokens into text as they come.
 *
 * A token may end in the middle of a character; those bytes wait for the tokens that complete it. Bytes that are no
 * UTF-8 become U+FFFD, as the WHATWG decoder does. With `stripLeadingSpace` (vocabularies that put a space before
 * every text) one space at the start of the first token's text is dropped, as the vocabulary's own detokeniser does.
 */
export class AnswerDecoder {
  readonly #bytesOf: (tokenId: number) => Uint8Array;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #stripLeadingSpace: boolean;

  constructor({
    bytesOf,
    stripLeadingSpace,
  }: {
    bytesOf: (tokenId: number) => Uint8Array;
    stripLeadingSpace: boolean;
  }) {
    this.#bytesOf = bytesOf;
    this.#stripLeadingSpace = stripLeadingSpace;
  }

  /** The text this token completes; empty while a character is incomplete. */
  push(tokenId: number): string {
    const bytes = this.#bytesOf(tokenId);
    const spaced = this.#stripLeadingSpace && bytes[0] === 0x20;
    this.#stripLeadingSpace = false;
    return this.#decoder.decode(spaced ? bytes.subarray(1) : bytes, { stream: true });
  }

  /** What an incomplete character at the end becomes: U+FFFD, or nothing. */
  flush(): string {
    return this.#decoder.decode();
  }
}
