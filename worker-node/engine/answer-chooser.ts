import type { Token } from "node-llama-cpp";
import type { Logprob } from "../../core/wire/node-frame.ts";
import type { Sampling } from "../../core/wire/task-input.ts";
import { type Candidate, candidateTokens, chooseToken } from "./choose-token.ts";
import type { Matcher } from "./grammar/grammar-host.ts";
import type { TokenMask } from "./grammar/token-mask.ts";
import type { Logits, LogitsWish, TokenChooser } from "./sequence-slot.ts";
import { afterBytes, betweenCharacters } from "./utf8-state.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** Up to so many tokens that may come, all their logits are asked for; beyond, the likeliest. */
const listedTokens = 2_048;

/** Chooses the tokens of one answer that has a grammar, a bias, or wants to know probabilities. */
export class AnswerChooser implements TokenChooser {
  readonly #sampling: Sampling;
  readonly #vocabulary: Vocabulary;
  readonly #tokens: readonly Token[];
  readonly #isEnd: (token: Token) => boolean;
  readonly #matcher: Matcher | undefined;
  readonly #counts = new Map<number, number>();
  #mask: TokenMask | undefined;
  #isOver = false;
  #asksForAll = false;
  #position: number;
  #utf8 = betweenCharacters;
  /** Of the token chosen last; `undefined` where the task does not ask for it. */
  logprob: Logprob | undefined;

  /** `continued` are the tokens that the answer has already; the matcher has taken them. */
  constructor(options: {
    sampling: Sampling;
    vocabulary: Vocabulary;
    tokens: readonly Token[];
    isEnd: (token: Token) => boolean;
    matcher: Matcher | undefined;
    continued: readonly Token[];
  }) {
    this.#sampling = options.sampling;
    this.#vocabulary = options.vocabulary;
    this.#tokens = options.tokens;
    this.#isEnd = options.isEnd;
    this.#matcher = options.matcher;
    this.#mask = options.matcher?.first;
    this.#position = options.continued.length;
    for (const token of options.continued) {
      this.#count(token);
      this.#utf8 = afterBytes(this.#utf8, this.#vocabulary.bytesOf(token)) ?? betweenCharacters;
    }
  }

  wish(): LogitsWish {
    const { logitBias = [], logprobs } = this.#sampling;
    const most = this.#asksForAll ? Number.POSITIVE_INFINITY : listedTokens;
    const listed = this.#mask?.ids(most);
    if (listed !== undefined) return { top: Math.max(1, logprobs?.top ?? 0), tokens: this.#named(listed) };
    // A bias or a penalty may lift or sink a token over the border of the likeliest.
    const adjusted = [...logitBias.map(([id]) => id), ...this.#counts.keys()];
    return { top: candidateTokens + this.#counts.size, tokens: this.#named(adjusted) };
  }

  async choose({ byToken, logTotal }: Logits): Promise<Token | "among more" | undefined> {
    const mask = this.#mask;
    const candidates = mask === undefined ? [...byToken] : [...byToken].filter(([id]) => mask.allows(id));
    const id = this.#chooseWhole(candidates);
    if (id === undefined) {
      if (this.#asksForAll) throw new Error("no token may come");
      this.#asksForAll = true;
      return "among more";
    }
    this.#asksForAll = false;
    const token = this.#tokens[id];
    if (token === undefined || this.#isEnd(token)) return undefined;
    this.#note(id, byToken, logTotal);
    this.#count(token);
    this.#position += 1;
    if (this.#matcher !== undefined) {
      this.#mask = await this.#matcher.accept(id);
      this.#isOver = this.#mask === undefined;
    }
    return token;
  }

  /** True once nothing may follow the token chosen last. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** With a grammar only what goes on in UTF-8: a grammar takes bytes for characters that are none. */
  #chooseWhole(candidates: readonly Candidate[]): number | undefined {
    const by = { sampling: this.#sampling, counts: this.#counts, position: this.#position };
    for (let left = candidates; ; ) {
      const id = chooseToken(left, by);
      if (id === undefined || this.#matcher === undefined) return id;
      const state = afterBytes(this.#utf8, this.#vocabulary.bytesOf(id));
      if (state !== undefined) {
        this.#utf8 = state;
        return id;
      }
      left = left.filter(([other]) => other !== id);
    }
  }

  #note(id: number, byToken: ReadonlyMap<number, number>, logTotal: number): void {
    const { logprobs } = this.#sampling;
    if (logprobs === undefined) return;
    const of = ([token, logit]: readonly [number, number]) => ({
      id: token,
      // A rounding may take the likeliest of all a hair above certainty.
      logprob: Math.min(0, logit - logTotal),
      bytes: Buffer.from(this.#vocabulary.bytesOf(token)).toString("base64"),
    });
    const likeliest = [...byToken].sort(([, left], [, right]) => right - left).slice(0, logprobs.top);
    this.logprob = { ...of([id, byToken.get(id) ?? Number.NEGATIVE_INFINITY]), top: likeliest.map(of) };
  }

  #count(token: number): void {
    this.#counts.set(token, (this.#counts.get(token) ?? 0) + 1);
  }

  #named(ids: readonly number[]): Token[] {
    return ids.flatMap((id) => this.#tokens[id] ?? []);
  }
}
