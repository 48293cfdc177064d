import type { ControlledEvaluateInputItem, LlamaContext, LlamaContextSequence, Token } from "node-llama-cpp";
import { LikeliestReader, likeliestOptions } from "./likeliest-reader.ts";
import { isOfLikeliest, type Logits, type LogitsWish } from "./logits-wish.ts";
import type { Slot } from "./slot-pool.ts";
import type { StepScheduler, Weights } from "./step-scheduler.ts";

/** The most places of one batch whose logits are read: llama.cpp holds a whole vocabulary for each. */
const placesAtOnce = 32;

/** Chooses an answer's tokens. */
export interface TokenChooser {
  wish(): LogitsWish;
  /** `undefined` ends the answer; `among more` asks once for what the next wish names. */
  choose(logits: Logits): Promise<Token | "among more" | undefined>;
}

/** One sequence of a context and the state it holds between tasks. */
export class SequenceSlot implements Slot {
  readonly #context: LlamaContext;
  readonly #scheduler: StepScheduler;
  readonly #weights: Weights;
  #sequence: LlamaContextSequence;

  /** `weights` says whether the context's model is the one served or a copy of it. */
  constructor({
    context,
    scheduler,
    weights = "own",
  }: {
    context: LlamaContext;
    scheduler: StepScheduler;
    weights?: Weights;
  }) {
    this.#context = context;
    this.#scheduler = scheduler;
    this.#weights = weights;
    this.#sequence = context.getSequence();
  }

  cachedTokens(): readonly number[] {
    return this.#sequence.contextTokens;
  }

  /**
   * Reads the prompt, of which the beginning may already be in the sequence, then yields the tokens that `chooser`
   * chooses until it chooses none. The caller ends it by leaving the loop; an aborted `signal` ends it within one step.
   * After an error the sequence is replaced, since half a batch may be left in it.
   */
  async *generate(options: {
    prompt: readonly Token[];
    signal: AbortSignal;
    chooser: TokenChooser;
  }): AsyncGenerator<Token, void> {
    this.#scheduler.beginAnswer();
    try {
      yield* this.#generate(options);
    } catch (error) {
      await this.#replaceSequence();
      throw error;
    } finally {
      this.#scheduler.endAnswer();
    }
  }

  /**
   * Reads `tokens`, of which the beginning may already be in the sequence, and gives the logits after each that has a
   * wish, by its index, in order. Steps aside for answers where `isPatient`. Rejects with the reason of an aborted
   * `signal` within one step.
   */
  async read(options: {
    tokens: readonly Token[];
    wishes: ReadonlyMap<number, LogitsWish>;
    signal: AbortSignal;
    isPatient: boolean;
    onLogits: (index: number, logits: Logits) => void;
  }): Promise<void> {
    try {
      await this.#read(options);
    } catch (error) {
      await this.#replaceSequence();
      throw error;
    }
  }

  async *#generate({
    prompt,
    signal,
    chooser,
  }: {
    prompt: readonly Token[];
    signal: AbortSignal;
    chooser: TokenChooser;
  }): AsyncGenerator<Token, void> {
    const sequence = this.#sequence;
    const likeliest = new LikeliestReader(sequence);
    const tokens = [...prompt];
    try {
      // The last token is always read again: its logits choose the first token of the answer.
      await sequence.adaptStateToTokens(tokens.slice(0, -1), false);
      while (!signal.aborted) {
        const unread = tokens.slice(sequence.nextTokenIndex);
        const logits = await this.#scheduler.run({ tokensLeft: unread.length }, async (budgetTokens) => {
          if (unread.length > budgetTokens) {
            await sequence.evaluateWithoutGeneratingNewTokens(unread.slice(0, budgetTokens));
            return undefined;
          }
          const wish = chooser.wish();
          if (isOfLikeliest(wish)) return likeliest.after(unread, wish);
          return (await evaluate(sequence, unread, new Map([[unread.length - 1, wish]]))).at(-1);
        });
        if (logits === undefined) continue;
        const chosen = await chooser.choose(logits);
        if (chosen === undefined || signal.aborted) return;
        // The same place once more, with more of what may come.
        if (chosen === "among more") await sequence.adaptStateToTokens(tokens.slice(0, -1), false);
        else {
          yield chosen;
          tokens.push(chosen);
        }
      }
    } finally {
      await likeliest.close();
    }
  }

  async #read({
    tokens,
    wishes,
    signal,
    isPatient,
    onLogits,
  }: {
    tokens: readonly Token[];
    wishes: ReadonlyMap<number, LogitsWish>;
    signal: AbortSignal;
    isPatient: boolean;
    onLogits: (index: number, logits: Logits) => void;
  }): Promise<void> {
    const sequence = this.#sequence;
    const places = [...wishes.keys()].sort((one, other) => one - other);
    const [first] = places;
    const last = places.at(-1);
    if (first === undefined || last === undefined) return;
    signal.throwIfAborted();
    await sequence.adaptStateToTokens(tokens.slice(0, first), false);
    while (sequence.nextTokenIndex <= last) {
      signal.throwIfAborted();
      const begin = sequence.nextTokenIndex;
      const tooMany = places.filter((index) => index >= begin)[placesAtOnce];
      const unread = tokens.slice(begin, tooMany ?? last + 1);
      const step = { tokensLeft: unread.length, isPatient, weights: this.#weights };
      await this.#scheduler.run(step, async (budgetTokens) => {
        const piece = unread.slice(0, budgetTokens);
        const wished = places.filter((index) => index >= begin && index < begin + piece.length);
        const pieceWishes = new Map(
          wished.flatMap((index) => {
            const wish = wishes.get(index);
            return wish === undefined ? [] : [[index - begin, wish] as const];
          }),
        );
        const results = await evaluate(sequence, piece, pieceWishes);
        for (const [place, logits] of results.entries()) onLogits(wished[place] ?? begin, logits);
      });
    }
  }

  async #replaceSequence(): Promise<void> {
    await this.#sequence.dispose();
    this.#sequence = this.#context.getSequence();
  }
}

/** Reads tokens and gives the logits after each that has a wish, in order. */
async function evaluate(
  sequence: LlamaContextSequence,
  tokens: readonly Token[],
  wishes: ReadonlyMap<number, LogitsWish>,
): Promise<Logits[]> {
  const items = tokens.map((token, index): ControlledEvaluateInputItem => {
    const wish = wishes.get(index);
    return wish === undefined ? token : [token, { generateNext: optionsOf(wish) }];
  });
  const results = await sequence.controlledEvaluate(items);
  return [...wishes].map(([index, wish]) => {
    const next = results[index]?.next;
    if (next?.logits === undefined) throw new Error("no logits came");
    return logitsOf(next.logits, next.totalLogitWeight, wish);
  });
}

type GenerateNext = NonNullable<Exclude<ControlledEvaluateInputItem, Token>[1]["generateNext"]>;

/**
 * How llama.cpp is asked. Its own top-k leaves just the likeliest, in order and unscaled at temperature 1: sorting a
 * whole vocabulary instead, as it otherwise does to find them, costs 4 to 6 ms a token for 49,152. A token that is
 * named, and the sum over all, need the whole.
 */
function optionsOf(wish: LogitsWish): GenerateNext {
  const { top, tokens, wantsTotal } = wish;
  const logits = { filter: { tokens, includeTop: top } };
  if (!isOfLikeliest(wish)) return { logits, totalLogitWeight: wantsTotal };
  return { logits, options: likeliestOptions(top) };
}

function logitsOf(byToken: Map<Token, number>, totalWeight: number | undefined, { top, isAll }: LogitsWish): Logits {
  // The likeliest come first, in order; those that were named after them.
  const values = [...byToken.values()];
  const leastRead = isAll ? Number.NEGATIVE_INFINITY : (values[top - 1] ?? Number.NaN);
  // The weights are beside the likeliest's, whose logit is here wherever the total is asked for.
  const logTotal = totalWeight === undefined ? undefined : Math.max(...values) + Math.log(totalWeight);
  return { byToken, leastRead, logTotal };
}
