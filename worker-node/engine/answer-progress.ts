import { AnswerText } from "./answer-text.ts";
import type { ChatPiece } from "./engine.ts";
import type { Vocabulary } from "./vocabulary.ts";

/**
 * How far an answer has come: its token ids, its text, and whether it has reached an end that needs no more tokens.
 *
 * All of it is a function of the ids alone, so an answer that another node began goes on here as if this node had made
 * it whole: the ids in `continues` pass through the same decoder and stop matcher, and what they let out is dropped,
 * since the reader has it.
 */
export class AnswerProgress<Token extends number> {
  readonly #tokenIds: Token[];
  readonly #text: AnswerText;
  readonly #longestTokens: number;
  #ended: "stop" | "length" | undefined;

  /**
   * `maxTokens` counts the continued ids; `roomTokens` is what the context leaves after the prompt, at least 1. The
   * continued ids may be more than that where a node with a longer context made them.
   */
  constructor({
    vocabulary,
    stop,
    maxTokens,
    roomTokens,
    continues,
  }: {
    vocabulary: Vocabulary;
    stop: readonly string[];
    maxTokens: number | null;
    roomTokens: number;
    continues: readonly Token[];
  }) {
    this.#longestTokens = Math.min(maxTokens ?? roomTokens, roomTokens);
    this.#text = new AnswerText({ vocabulary, stop });
    this.#tokenIds = [...continues];
    for (const id of continues) if (this.#text.push(id).stopped) this.#ended = "stop";
    if (this.#ended === undefined && continues.length >= this.#longestTokens) {
      this.#ended = "length";
      // Whoever made exactly the longest answer let out with its last token what was held back (see `push`).
      if (continues.length === this.#longestTokens) this.#text.flush();
    }
  }

  /** Ids of the whole answer so far, the continued ones first; the array grows with each push. */
  get tokenIds(): readonly Token[] {
    return this.#tokenIds;
  }

  /** Upper bound of the whole answer's tokens. */
  get longestTokens(): number {
    return this.#longestTokens;
  }

  /** Set by the token that completes a stop string or is the last that may come; nothing is pushed after it. */
  get ended(): "stop" | "length" | undefined {
    return this.#ended;
  }

  /** The stop string that ended it, where one did. */
  get stopSequence(): string | undefined {
    return this.#text.matched;
  }

  /** Takes the next token. The last one by length also lets out what was held back, so that its text is the ids' too. */
  push(tokenId: Token): ChatPiece {
    this.#tokenIds.push(tokenId);
    const { text, stopped } = this.#text.push(tokenId);
    if (stopped) this.#ended = "stop";
    else if (this.#tokenIds.length === this.#longestTokens) this.#ended = "length";
    return { tokenIds: [tokenId], text: this.#ended === "length" ? text + this.#text.flush() : text };
  }

  /** What is still held back, where the model ended the answer itself or it was cancelled; empty after other ends. */
  flush(): string {
    return this.#text.flush();
  }
}
