/** How a run takes part in the next batch: `tokensLeft` 1 is one more token of an answer, more is prompt to read. */
export interface Step {
  tokensLeft: number;
}

/**
 * Longest round that reads prompts: so long may an answer wait for its next token beside a prompt, and a cancelled
 * prompt go on, since llama.cpp can't be interrupted within a batch. The second holds where the first would make
 * pieces of fewer than `goodChunkTokens`.
 */
const readingRoundMs = { usual: 250, slow: 500 } as const;
/**
 * Below it reading itself becomes slow: SmolLM2-135M on one CPU thread, at 7 ms a token, read 32 tokens at once at 0.96
 * of the speed of 128 at once, and 16 at 0.91.
 */
const goodChunkTokens = 32;
/** Pieces until the speed is known, and the smallest of all. */
const chunkTokensBounds = { first: 16, smallest: 8 } as const;

/**
 * Keeps the runs of one context in step, so that each batch holds one step of every run.
 *
 * The context alone does not: it starts the next batch while some runs have not yet asked for their next token (four
 * equal runs shared batches of three), and it keeps its lock while batches follow each other, so that a new run can't
 * clear its sequence. Here a round begins when the one before is over, and takes all steps asked for until then. A
 * step that reads a prompt is told how many tokens it may read: all readers together as many as fit into a round of
 * `readingRoundMs` at the speed of the last rounds, and `chunkTokens` at most.
 */
export class StepScheduler {
  readonly #chunkTokens: number;
  readonly #now: () => number;
  readonly #nextTurn: (action: () => void) => void;
  #waiting: { step: Step; start: (budgetTokens: number) => Promise<void> }[] = [];
  #roundScheduled = false;
  #msPerToken: number | undefined;

  constructor({
    chunkTokens,
    now = () => performance.now(),
    nextTurn = (action) => void setImmediate(action),
  }: {
    chunkTokens: number;
    now?: () => number;
    nextTurn?: (action: () => void) => void;
  }) {
    this.#chunkTokens = chunkTokens;
    this.#now = now;
    this.#nextTurn = nextTurn;
  }

  /** Runs `action` in the next round with the number of tokens it may evaluate, and returns its result. */
  run<T>(step: Step, action: (budgetTokens: number) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      // The start itself never fails: a round must end for all when one step does.
      const start = async (budgetTokens: number) => {
        try {
          resolve(await action(budgetTokens));
        } catch (error) {
          reject(error);
        }
      };
      this.#waiting.push({ step, start });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#roundScheduled || this.#waiting.length === 0) return;
    this.#roundScheduled = true;
    this.#nextTurn(() => void this.#round());
  }

  async #round(): Promise<void> {
    const steps = this.#waiting;
    this.#waiting = [];
    const readers = steps.filter(({ step }) => step.tokensLeft > 1).length;
    const budget = Math.max(1, Math.floor(this.#readableTokens() / Math.max(1, readers)));
    const evaluated = steps.reduce((sum, { step }) => sum + Math.min(step.tokensLeft, budget), 0);
    const startedMs = this.#now();
    await Promise.all(steps.map(({ step, start }) => start(Math.min(step.tokensLeft, budget))));
    if (readers > 0 && evaluated >= chunkTokensBounds.smallest) this.#learn((this.#now() - startedMs) / evaluated);
    this.#roundScheduled = false;
    this.#schedule();
  }

  /** Tokens for all readers together. A power of two, so that small changes of speed don't change how a prompt is cut. */
  #readableTokens(): number {
    if (this.#msPerToken === undefined) return chunkTokensBounds.first;
    const usual = powerOfTwo(readingRoundMs.usual / this.#msPerToken);
    const slow = Math.max(chunkTokensBounds.smallest, powerOfTwo(readingRoundMs.slow / this.#msPerToken));
    return Math.min(this.#chunkTokens, Math.max(usual, Math.min(goodChunkTokens, slow)));
  }

  #learn(msPerToken: number): void {
    this.#msPerToken = this.#msPerToken === undefined ? msPerToken : (this.#msPerToken + msPerToken) / 2;
  }
}

/** The greatest power of two that is at most `value`. */
const powerOfTwo = (value: number): number => 2 ** Math.floor(Math.log2(value));
