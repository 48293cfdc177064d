/** How a run takes part in the next batch: `tokensLeft` 1 is one more token of an answer, more is prompt to read. */
export interface Step {
  tokensLeft: number;
}

/** A prompt is read in pieces of about this long while other answers wait for their next token. */
const sharedRoundMs = 400;
/** Smaller pieces make reading itself slow: SmolLM2-135M on one CPU thread reads 16 at once at 0.6 of full speed. */
const smallestChunkTokens = 16;

/**
 * Keeps the runs of one context in step, so that each batch holds one step of every run.
 *
 * The context alone does not: it starts the next batch while some runs have not yet asked for their next token (four
 * equal runs shared batches of three), and it keeps its lock while batches follow each other, so that a new run can't
 * clear its sequence. Here a round begins when the one before is over, and takes all steps asked for until then. A
 * step that reads a prompt is told how many tokens it may read: `chunkTokens` among all readers, or what takes less
 * than half a second while others generate.
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
    const budget = this.#budgetTokens({ readers, others: steps.length - readers });
    const evaluated = steps.reduce((sum, { step }) => sum + Math.min(step.tokensLeft, budget), 0);
    const startedMs = this.#now();
    await Promise.all(steps.map(({ step, start }) => start(Math.min(step.tokensLeft, budget))));
    if (readers > 0) this.#learn((this.#now() - startedMs) / evaluated);
    this.#roundScheduled = false;
    this.#schedule();
  }

  /** Tokens that each reader may read in this round. */
  #budgetTokens({ readers, others }: { readers: number; others: number }): number {
    const shared = others === 0 ? this.#chunkTokens : this.#pacedTokens();
    return Math.max(1, Math.floor(shared / Math.max(1, readers)));
  }

  /** A power of two, so that small changes of speed don't change how a prompt is cut. */
  #pacedTokens(): number {
    if (this.#msPerToken === undefined) return smallestChunkTokens;
    const tokens = 2 ** Math.floor(Math.log2(sharedRoundMs / this.#msPerToken));
    return Math.min(this.#chunkTokens, Math.max(smallestChunkTokens, tokens));
  }

  #learn(msPerToken: number): void {
    this.#msPerToken = this.#msPerToken === undefined ? msPerToken : (this.#msPerToken + msPerToken) / 2;
  }
}
