import type { ChatPiece } from "../engine.ts";
import { StopMatcher } from "../stop-matcher.ts";
import { TextJoin } from "./text-join.ts";
import type { UpstreamPiece } from "./upstream.ts";

/**
 * How far an answer of an upstream has come, and whether it has reached an end that needs no more tokens: what
 * `AnswerProgress` is to engines that know their tokens' bytes. Stop strings are looked for here, never by the
 * upstream, so that a continued answer ends where a whole one does.
 */
export class UpstreamAnswer {
  readonly #join: TextJoin;
  readonly #matcher: StopMatcher;
  readonly #longestTokens: number;
  #tokens: number;
  #ended: "stop" | "length" | undefined;

  private constructor(options: { join: TextJoin; matcher: StopMatcher; longestTokens: number; tokens: number }) {
    this.#join = options.join;
    this.#matcher = options.matcher;
    this.#longestTokens = options.longestTokens;
    this.#tokens = options.tokens;
  }

  /** Goes on after `continues`; `longestTokens` counts them too. */
  static async after({
    continues,
    stop,
    longestTokens,
    detokenize,
  }: {
    continues: readonly number[];
    stop: readonly string[];
    longestTokens: number;
    detokenize: (tokenIds: readonly number[]) => Promise<string>;
  }): Promise<UpstreamAnswer> {
    const { join, text } = await TextJoin.after(continues, detokenize);
    const matcher = new StopMatcher(stop);
    const answer = new UpstreamAnswer({ join, matcher, longestTokens, tokens: continues.length });
    if (matcher.push(text).stopped) answer.#ended = "stop";
    else if (continues.length >= longestTokens) answer.#ended = "length";
    return answer;
  }

  /** How many tokens may still come. */
  get roomTokens(): number {
    return this.#longestTokens - this.#tokens;
  }

  /** Set by the piece that completes a stop string or is the last that may come; nothing is pushed after it. */
  get ended(): "stop" | "length" | undefined {
    return this.#ended;
  }

  /** The stop string that ended it, where one did. */
  get stopSequence(): string | undefined {
    return this.#matcher.matched;
  }

  /** Takes the next piece. The last one by length also lets out what was held back, so that its text is the ids' too. */
  async push({ tokenIds, text, logprobs }: UpstreamPiece): Promise<ChatPiece> {
    this.#tokens += tokenIds.length;
    // Nothing told is a character that these tokens leave half done. What is half and what is broken is for the join to
    // say, so that it is the same on every node: upstreams hold back more or less of it.
    const told = text === "" ? undefined : text;
    const match = this.#matcher.push(await this.#join.push(tokenIds, told));
    if (match.stopped) this.#ended = "stop";
    else if (this.#tokens >= this.#longestTokens) this.#ended = "length";
    const shown = this.#ended === "length" ? match.text + this.flush() : match.text;
    return { tokenIds, text: shown, ...(logprobs === undefined ? {} : { logprobs }) };
  }

  /** What is still held back, where the model ended the answer itself or it was cancelled. */
  flush(): string {
    if (this.#ended === "stop") return "";
    const { text, stopped } = this.#matcher.push(this.#join.flush());
    return stopped ? text : text + this.#matcher.flush();
  }
}
