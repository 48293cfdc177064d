import type { Token } from "node-llama-cpp";
import { areCandidatesEnough } from "../../core/decoding/are-candidates-enough.ts";
import { chooseToken } from "../../core/decoding/choose-token.ts";
import type { Logprob } from "../../core/wire/node-frame.ts";
import type { Sampling } from "../../core/wire/task-input.ts";
import type { AnswerPlace } from "./answer-place.ts";
import type { Matcher } from "./grammar/grammar-host.ts";
import { type Logits, type LogitsWish, type Reach, widerReach, wishAt } from "./logits-wish.ts";
import type { TokenChooser } from "./sequence-slot.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** Chooses the tokens of one answer, by the rules of docs/SAMPLING.md. */
export class AnswerChooser implements TokenChooser {
  readonly #sampling: Sampling;
  readonly #vocabulary: Vocabulary;
  readonly #tokens: readonly Token[];
  readonly #endIds: ReadonlySet<number>;
  readonly #matcher: Matcher | undefined;
  readonly #place: AnswerPlace;
  #reach: Reach = "likeliest";
  /** Of the token chosen last; `undefined` where the task does not ask for it. */
  logprob: Logprob | undefined;

  /** `place` is where the answer stands, after all that was continued; it moves with each token. */
  constructor(options: {
    sampling: Sampling;
    vocabulary: Vocabulary;
    tokens: readonly Token[];
    endIds: ReadonlySet<number>;
    matcher: Matcher | undefined;
    place: AnswerPlace;
  }) {
    this.#sampling = options.sampling;
    this.#vocabulary = options.vocabulary;
    this.#tokens = options.tokens;
    this.#endIds = options.endIds;
    this.#matcher = options.matcher;
    this.#place = options.place;
  }

  wish(): LogitsWish {
    return wishAt(this.#place, { sampling: this.#sampling, reach: this.#reach, tokens: this.#tokens });
  }

  async choose({ byToken, leastRead, logTotal }: Logits): Promise<Token | "among more" | undefined> {
    const place = this.#place;
    const candidates = place.hasGrammar ? [...byToken].filter(([id]) => place.allows(id)) : [...byToken];
    if (!areCandidatesEnough(candidates, { rules: this.#sampling, counts: place.counts, leastRead })) {
      const wider = widerReach[this.#reach];
      if (wider === undefined) throw new Error("all tokens are too few to choose among");
      this.#reach = wider;
      return "among more";
    }
    this.#reach = "likeliest";
    const id = chooseToken(candidates, this.#sampling, place);
    if (id === undefined) throw new Error("no token may come");
    const token = this.#tokens[id];
    if (token === undefined || this.#endIds.has(id)) return undefined;
    if (logTotal !== undefined) this.#note(id, byToken, logTotal);
    const allowed = this.#matcher === undefined ? "none" : ((await this.#matcher.accept(id)) ?? "over");
    place.take(id, allowed);
    return token;
  }

  /** True once nothing may follow the token chosen last. */
  get isOver(): boolean {
    return this.#place.isOver;
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
}
