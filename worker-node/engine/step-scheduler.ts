/** How a run takes part in the next batch: `tokensLeft` 1 is one more token of an answer, more is prompt to read. */
export interface Step {
  tokensLeft: number;
  /** True for a reading that answers are to notice little of: it takes a share of their time at most, alone all. */
  isPatient?: boolean;
  /** Which weights it runs on; a copy is read at a speed of its own. */
  weights?: Weights;
}

/** The model's own, or a copy's of other bits that is read faster. */
export type Weights = "own" | "copy";

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
/**
 * What patient readings may take of the time beside answers: for each round of answers so much of its time, spent in
 * pieces of at least `pieceTokens` (see `goodChunkTokens`), or of what is read in the time of one round.
 */
const patience = { share: 0.08, pieceTokens: 16 } as const;
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
 *
 * Patient steps join a round of others when these have earned them time: what they took then is counted against it, so
 * that over a while they slow answers by `patience.share`, on any machine, and always go on.
 */
export class StepScheduler {
  readonly #chunkTokens: number;
  readonly #now: () => number;
  readonly #nextTurn: (action: () => void) => void;
  #waiting: { step: Step; start: (budgetTokens: number) => Promise<void> }[] = [];
  #roundScheduled = false;
  readonly #msPerToken: Record<Weights, number | undefined> = { own: undefined, copy: undefined };
  /** Of a round in which answers take one token each. */
  #answerRoundMs: number | undefined;
  /** What patient steps may take beside others; below 0 what they took too much. They begin after a round of others. */
  #patientMs = -1;
  #answersUnderWay = 0;

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

  /** Until {@link endAnswer}, patient steps wait for this answer's next step and don't use the moment in between. */
  beginAnswer(): void {
    this.#answersUnderWay += 1;
  }

  endAnswer(): void {
    this.#answersUnderWay -= 1;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#roundScheduled || this.#waiting.length === 0) return;
    if (this.#answersUnderWay > 0 && this.#waiting.every(({ step }) => step.isPatient === true)) return;
    this.#roundScheduled = true;
    this.#nextTurn(() => void this.#round());
  }

  async #round(): Promise<void> {
    const asked = this.#waiting;
    const others = asked.filter(({ step }) => step.isPatient !== true);
    const patient = asked.filter(({ step }) => step.isPatient === true);
    const isShared = others.length > 0;
    const joining = isShared && this.#patientMs < 0 ? [] : patient;
    this.#waiting = joining.length === patient.length ? [] : patient;
    const readers = others.filter(({ step }) => step.tokensLeft > 1);
    const budget = share(this.#readableTokens("own"), readers.length);
    const patientBudget = ({ weights = "own" }: Step) =>
      share(isShared ? this.#patientTokens(weights) : this.#readableTokens(weights), joining.length);
    const steps = [
      ...others.map(({ step, start }) => ({ start, step, tokens: Math.min(step.tokensLeft, budget) })),
      ...joining.map(({ step, start }) => ({ start, step, tokens: Math.min(step.tokensLeft, patientBudget(step)) })),
    ];
    const startedMs = this.#now();
    await Promise.all(steps.map(({ start, tokens }) => start(tokens)));
    const elapsedMs = this.#now() - startedMs;
    const evaluated = steps.reduce((sum, { tokens }) => sum + tokens, 0);
    const isReading = readers.length > 0 || !isShared;
    const [weights = "own", ...mixed] = new Set(steps.map(({ step }) => step.weights ?? "own"));
    // Of two kinds read together neither's speed is known.
    if (isReading && mixed.length === 0 && evaluated >= chunkTokensBounds.smallest)
      this.#learn(weights, elapsedMs / evaluated);
    if (isShared) {
      const taken = steps.slice(others.length);
      const readingMs = taken.reduce((sum, { step, tokens }) => sum + tokens * this.#speedOf(step.weights), 0);
      if (!isReading) this.#learnBeside(taken, elapsedMs);
      this.#account({ elapsedMs, readingMs: taken.length === 0 ? undefined : readingMs, isReading });
    }
    this.#roundScheduled = false;
    this.#schedule();
  }

  /** A node that is never without answers learns the speed of a copy by what a round with it took longer. */
  #learnBeside(taken: readonly { step: Step; tokens: number }[], elapsedMs: number): void {
    const tokens = taken.reduce((sum, each) => sum + each.tokens, 0);
    if (this.#answerRoundMs === undefined || tokens < chunkTokensBounds.smallest) return;
    if (taken.some(({ step }) => step.weights !== "copy")) return;
    this.#learn("copy", Math.max(0, elapsedMs - this.#answerRoundMs) / tokens);
  }

  /** Writes down what patient steps earned and took of a round with others; `readingMs` is what they should take. */
  #account({
    elapsedMs,
    readingMs,
    isReading,
  }: {
    elapsedMs: number;
    readingMs: number | undefined;
    isReading: boolean;
  }): void {
    let tookMs = 0;
    if (readingMs !== undefined) {
      const beyondMs = Math.max(0, elapsedMs - (this.#answerRoundMs ?? 0));
      // A round that other programs held up says nothing of them.
      tookMs = isReading ? readingMs : Math.min(beyondMs, 4 * Math.max(readingMs, this.#answerRoundMs ?? 0));
    } else if (!isReading) this.#answerRoundMs = halfway(this.#answerRoundMs, elapsedMs);
    const earnedMs = patience.share * (elapsedMs - Math.min(elapsedMs, tookMs));
    this.#patientMs = Math.min(0, this.#patientMs) + earnedMs - tookMs;
  }

  /** Tokens for all patient readers together, beside others. */
  #patientTokens(weights: Weights): number {
    const inOneRound = (this.#answerRoundMs ?? 0) / (this.#msPerToken[weights] ?? Number.POSITIVE_INFINITY);
    return Math.max(patience.pieceTokens, Math.min(this.#chunkTokens, Math.floor(inOneRound)));
  }

  /** Tokens for all readers together. A power of two, so that small changes of speed don't change how a prompt is cut. */
  #readableTokens(weights: Weights): number {
    const msPerToken = this.#msPerToken[weights];
    if (msPerToken === undefined) return chunkTokensBounds.first;
    const usual = powerOfTwo(readingRoundMs.usual / msPerToken);
    const slow = Math.max(chunkTokensBounds.smallest, powerOfTwo(readingRoundMs.slow / msPerToken));
    return Math.min(this.#chunkTokens, Math.max(usual, Math.min(goodChunkTokens, slow)));
  }

  /** Milliseconds a token; 0 until one is known. A copy whose speed is not is taken for no faster than the model. */
  #speedOf(weights: Weights = "own"): number {
    return this.#msPerToken[weights] ?? this.#msPerToken.own ?? 0;
  }

  #learn(weights: Weights, msPerToken: number): void {
    this.#msPerToken[weights] = halfway(this.#msPerToken[weights], msPerToken);
  }
}

/** The greatest power of two that is at most `value`. */
const powerOfTwo = (value: number): number => 2 ** Math.floor(Math.log2(value));

const share = (tokens: number, readers: number): number => Math.max(1, Math.floor(tokens / Math.max(1, readers)));

const halfway = (before: number | undefined, now: number): number => (before === undefined ? now : (before + now) / 2);
