import { StopMatcher } from "./stop-matcher.ts";
import { AnswerDecoder } from "./text-decoder.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** The text of one answer as its tokens come: whole characters only, cut before the first stop string. */
export class AnswerText {
  readonly #decoder: AnswerDecoder;
  readonly #matcher: StopMatcher;

  constructor({ vocabulary, stop }: { vocabulary: Vocabulary; stop: readonly string[] }) {
    this.#decoder = new AnswerDecoder({
      bytesOf: vocabulary.bytesOf,
      stripLeadingSpace: vocabulary.stripsLeadingSpace,
    });
    this.#matcher = new StopMatcher(stop);
  }

  /** The text this token lets out, and whether a stop string has ended the answer. */
  push(tokenId: number): { text: string; stopped: boolean } {
    return this.#matcher.push(this.#decoder.push(tokenId));
  }

  /** The stop string that ended the answer. */
  get matched(): string | undefined {
    return this.#matcher.matched;
  }

  /** What was held back, at the end of an answer that no stop string ended. */
  flush(): string {
    return this.#matcher.push(this.#decoder.flush()).text + this.#matcher.flush();
  }
}
