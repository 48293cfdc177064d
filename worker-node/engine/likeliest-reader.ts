import type { LlamaContextSequence, Token } from "node-llama-cpp";
import type { Logits, LogitsWish } from "./logits-wish.ts";

/** llama.cpp's sampler so that it leaves the likeliest tokens, in order and unscaled. The draw it makes is not used. */
export const likeliestOptions = (top: number) => ({ temperature: 1, topK: top, topP: 1, minP: 0, seed: 0 }) as const;

/** Below the logarithm of the least number of 32 bits: that of a probability that is rounded to 0. */
const leastLogProbability = -104;

type Tokens = ReturnType<typeof begin>;

/**
 * The likeliest tokens after each token of one answer, by one sampler of llama.cpp. `controlledEvaluate` makes a sampler
 * at each call, whose memory (12 bytes for each token of the vocabulary) comes back only with a full collection of
 * garbage: 590 KB a token for 49,152.
 *
 * Logits come as logarithms of probabilities among the likeliest: less by one number, and within 10⁻⁶ (they pass
 * through 32 bits).
 */
export class LikeliestReader {
  readonly #sequence: LlamaContextSequence;
  #open: { top: number; tokens: Tokens } | undefined;

  constructor(sequence: LlamaContextSequence) {
    this.#sequence = sequence;
  }

  /** Reads these tokens and gives the likeliest after the last of them. */
  async after(read: readonly Token[], { top, isAll }: LogitsWish): Promise<Logits> {
    if (this.#open?.top !== top) await this.close();
    const isNew = this.#open === undefined;
    this.#open ??= { top, tokens: begin(this.#sequence, read, top) };
    const { tokens } = this.#open;
    const { value, done } = await (isNew ? tokens.next() : tokens.next([...read]));
    if (done === true || value.probabilities === undefined) throw new Error("no probabilities came");
    const byToken = new Map<number, number>();
    let leastRead = isAll ? Number.NEGATIVE_INFINITY : 0;
    for (const [token, probability] of value.probabilities) {
      const logit = probability > 0 ? Math.log(probability) : leastLogProbability;
      byToken.set(token, logit);
      leastRead = Math.min(leastRead, logit);
    }
    return { byToken, leastRead, logTotal: undefined };
  }

  async close(): Promise<void> {
    await this.#open?.tokens.return();
    this.#open = undefined;
  }
}

function begin(sequence: LlamaContextSequence, read: readonly Token[], top: number) {
  const options = { ...likeliestOptions(top), yieldEogToken: true };
  return sequence.evaluateWithMetadata([...read], { probabilities: true }, options);
}
