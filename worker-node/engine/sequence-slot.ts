import type { LlamaContext, LlamaContextSequence, SequenceEvaluateOptions, Token } from "node-llama-cpp";
import type { Slot } from "./slot-pool.ts";
import type { StepScheduler } from "./step-scheduler.ts";

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
