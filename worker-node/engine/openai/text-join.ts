/** Ids before the place where a text must be asked for anew: what they spell together tells what the rest adds. */
const contextIds = 16;

/**
 * Text of a character that is not whole: a decoder puts one U+FFFD for it (WHATWG Encoding, Python's `replace`). Before
 * it there may be others, which stand for bytes that no further byte makes whole.
 */
const halfCharacter = /\ufffd$/;

/**
 * The text of an answer whose pieces may begin or end within a character: an answer continued from there, or ids that
 * came without their text. As long as the text is known, it is passed on; else the ids' text is asked for, and what is
 * half a character waits for the rest of it, as in vLLM's own detokenizer.
 */
export class TextJoin {
  readonly #detokenize: (tokenIds: readonly number[]) => Promise<string>;
  readonly #ids: number[];
  /** While the text is asked for: from which id on, and what of its text is told. */
  #asking: { from: number; told: string; half: string } | undefined;

  private constructor(detokenize: (tokenIds: readonly number[]) => Promise<string>, ids: readonly number[]) {
    this.#detokenize = detokenize;
    this.#ids = [...ids];
  }

  /** Goes on after `continues`; `text` is theirs, whole characters only. */
  static async after(
    continues: readonly number[],
    detokenize: (tokenIds: readonly number[]) => Promise<string>,
  ): Promise<{ join: TextJoin; text: string }> {
    const join = new TextJoin(detokenize, continues);
    if (continues.length === 0) return { join, text: "" };
    const whole = await detokenize(continues);
    const text = whole.replace(halfCharacter, "");
    if (text !== whole) join.#asking = { from: 0, told: text, half: whole.slice(text.length) };
    return { join, text };
  }

  /** The text that these ids let out. */
  async push(tokenIds: readonly number[], text: string | undefined): Promise<string> {
    if (text === undefined) this.#asking ??= await this.#askFrom(Math.max(0, this.#ids.length - contextIds));
    this.#ids.push(...tokenIds);
    if (this.#asking === undefined) return text ?? "";
    const { from, told } = this.#asking;
    const whole = await this.#detokenize(this.#ids.slice(from));
    const known = whole.replace(halfCharacter, "");
    this.#asking = known === whole ? undefined : { from, told: known, half: whole.slice(known.length) };
    return known.slice(told.length);
  }

  /** What half a character at the end becomes: U+FFFD, or nothing. */
  flush(): string {
    return this.#asking?.half ?? "";
  }

  async #askFrom(from: number): Promise<{ from: number; told: string; half: string }> {
    if (from === this.#ids.length) return { from, told: "", half: "" };
    const told = (await this.#detokenize(this.#ids.slice(from))).replace(halfCharacter, "");
    return { from, told, half: "" };
  }
}
