import type { DecodingPlace } from "../../core/decoding/ranked-candidates.ts";
import type { TokenMask } from "./grammar/token-mask.ts";
import { afterBytes, betweenCharacters, type Utf8State } from "./utf8-state.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** Where a grammar stands: what may come next; `over` where nothing may; `none` where any text will do. */
export type Allowed = TokenMask | "over" | "none";

/** Where an answer stands before its next token: all that the choice depends on beside the logits. */
export class AnswerPlace implements DecodingPlace {
  readonly #vocabulary: Vocabulary;
  readonly #counts: Map<number, number>;
  #position = 0;
  #allowed: Allowed;
  #utf8: Utf8State = betweenCharacters;

  /** The place before an answer's first token. */
  constructor(vocabulary: Vocabulary, allowed: Allowed, counts: ReadonlyMap<number, number> = new Map()) {
    this.#vocabulary = vocabulary;
    this.#allowed = allowed;
    this.#counts = new Map(counts);
  }

  get position(): number {
    return this.#position;
  }

  /** How often each token came; it changes with each that is taken. */
  get counts(): ReadonlyMap<number, number> {
    return this.#counts;
  }

  /** Goes on by a token, after which the grammar allows this. */
  take(tokenId: number, allowed: Allowed): void {
    if (this.hasGrammar) this.#utf8 = this.#afterBytesOf(tokenId) ?? betweenCharacters;
    this.#counts.set(tokenId, (this.#counts.get(tokenId) ?? 0) + 1);
    this.#position += 1;
    this.#allowed = allowed;
  }

  /** The same place, which stays where it is. */
  copy(): AnswerPlace {
    const copy = new AnswerPlace(this.#vocabulary, this.#allowed, this.#counts);
    copy.#position = this.#position;
    copy.#utf8 = this.#utf8;
    return copy;
  }

  /** True where a grammar has come to its end, so that the answer is over without a token for it. */
  get isOver(): boolean {
    return this.#allowed === "over";
  }

  get hasGrammar(): boolean {
    return this.#allowed !== "none";
  }

  /**
   * Whether a token may come: with a grammar only one that it allows and that goes on in UTF-8, since a grammar takes
   * bytes for characters that are none.
   */
  allows(tokenId: number): boolean {
    if (this.#allowed === "none") return true;
    if (this.#allowed === "over") return false;
    return this.#allowed.allows(tokenId) && this.#afterBytesOf(tokenId) !== undefined;
  }

  /** Ids of all that may come; `undefined` where the grammar allows more than `most`, or there is none. */
  allowedIds(most: number): number[] | undefined {
    if (typeof this.#allowed === "string") return undefined;
    return this.#allowed.ids(most)?.filter((id) => this.allows(id));
  }

  #afterBytesOf(tokenId: number): Utf8State | undefined {
    return afterBytes(this.#utf8, this.#vocabulary.bytesOf(tokenId));
  }
}
