import type { LlamaContext, LlamaContextSequence, SequenceEvaluateOptions, Token } from "node-llama-cpp";
import type { Slot } from "./slot-pool.ts";
import type { StepScheduler } from "./step-scheduler.ts";

/** Which logits are asked for: of the likeliest, and of these. */
export interface LogitsWish {
  top: number;
  tokens: readonly Token[];
}

/** What came of it: logits of those, and the logarithm of the sum of all exponentials. */
export interface Logits {
  byToken: ReadonlyMap<Token, number>;
  logTotal: number;
}

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
  #sequence: LlamaContextSequence;

  constructor({ context, scheduler }: { context: LlamaContext; scheduler: StepScheduler }) {
    this.#context = context;
    this.#scheduler = scheduler;
    this.#sequence = context.getSequence();
  }

  cachedTokens(): readonly number[] {
    return this.#sequence.contextTokens;
  }

  /**
   * Reads the prompt, of which the beginning may already be in the sequence, then yields token after token until the
   * model ends the answer. The caller ends it by leaving the loop; an aborted `signal` ends it within one step.
   * After an error the sequence is replaced, since half a batch may be left in it.
   */
  async *generate(options: {
    prompt: readonly Token[];
    signal: AbortSignal;
    evaluate: SequenceEvaluateOptions;
  }): AsyncGenerator<Token, void> {
    try {
      yield* this.#generate(options);
    } catch (error) {
      await this.#replaceSequence();
      throw error;
    }
  }

  /**
   * The same with each token chosen by `choose`, from logits that it asks for. Ends where it chooses none.
   */
  async *generateChosen(options: {
    prompt: readonly Token[];
    signal: AbortSignal;
    chooser: TokenChooser;
  }): AsyncGenerator<Token, void> {
    try {
      yield* this.#generateChosen(options);
    } catch (error) {
      await this.#replaceSequence();
      throw error;
    }
  }

  async *#generateChosen({
    prompt,
    signal,
    chooser,
  }: {
    prompt: readonly Token[];
    signal: AbortSignal;
    chooser: TokenChooser;
  }): AsyncGenerator<Token, void> {
    const sequence = this.#sequence;
    await sequence.adaptStateToTokens(prompt.slice(0, -1), false);
    let unread = prompt.slice(sequence.nextTokenIndex);
    while (!signal.aborted) {
      const reading = unread;
      const logits = await this.#scheduler.run({ tokensLeft: reading.length }, async (budgetTokens) => {
        if (reading.length > budgetTokens) {
          await sequence.evaluateWithoutGeneratingNewTokens(reading.slice(0, budgetTokens));
          return undefined;
        }
        return logitsAfter(sequence, reading, chooser.wish());
      });
      if (logits === undefined) {
        unread = prompt.slice(sequence.nextTokenIndex);
        continue;
      }
      let chosen = await chooser.choose(logits);
      if (chosen === "among more") {
        // What may come is not among the likeliest: the same place once more, with all that may.
        const [last] = reading.slice(-1);
        const at = sequence.nextTokenIndex - 1;
        if (last === undefined) throw new Error("nothing was read before a token");
        await sequence.eraseContextTokenRanges([{ start: at, end: at + 1 }]);
        const again = await this.#scheduler.run({ tokensLeft: 1 }, () => logitsAfter(sequence, [last], chooser.wish()));
        chosen = await chooser.choose(again);
      }
      if (chosen === undefined || chosen === "among more" || signal.aborted) return;
      yield chosen;
      unread = [chosen];
    }
  }

  async *#generate({
    prompt,
    signal,
    evaluate,
  }: {
    prompt: readonly Token[];
    signal: AbortSignal;
    evaluate: SequenceEvaluateOptions;
  }): AsyncGenerator<Token, void> {
    const sequence = this.#sequence;
    // The last token is always read again: its logits choose the first token of the answer.
    await sequence.adaptStateToTokens(prompt.slice(0, -1), false);
    const answer: { tokens?: AsyncGenerator<Token, void> } = {};
    try {
      while (!signal.aborted) {
        const unread = answer.tokens === undefined ? prompt.slice(sequence.nextTokenIndex) : [];
        const step = await this.#scheduler.run({ tokensLeft: Math.max(1, unread.length) }, async (budgetTokens) => {
          if (unread.length > budgetTokens) {
            await sequence.evaluateWithoutGeneratingNewTokens(unread.slice(0, budgetTokens));
            return undefined;
          }
          answer.tokens ??= sequence.evaluate(unread, evaluate);
          return answer.tokens.next();
        });
        if (step === undefined) continue;
        if (step.done === true || signal.aborted) return;
        yield step.value;
      }
    } finally {
      await answer.tokens?.return();
    }
  }

  async #replaceSequence(): Promise<void> {
    await this.#sequence.dispose();
    this.#sequence = this.#context.getSequence();
  }
}

async function logitsAfter(sequence: LlamaContextSequence, read: readonly Token[], wish: LogitsWish): Promise<Logits> {
  const [last] = read.slice(-1);
  if (last === undefined) throw new Error("nothing is read before a token");
  const filter = { tokens: wish.tokens, includeTop: wish.top, includeMax: true };
  const generateNext = { logits: { filter }, totalLogitWeight: true };
  const results = await sequence.controlledEvaluate([...read.slice(0, -1), [last, { generateNext }]]);
  const next = results.at(-1)?.next;
  if (next?.logits === undefined || next.totalLogitWeight === undefined) throw new Error("no logits came");
  const most = Math.max(...next.logits.values());
  return { byToken: next.logits, logTotal: most + Math.log(next.totalLogitWeight) };
}
