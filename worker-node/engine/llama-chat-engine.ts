import type { LlamaContext, LlamaModel, Token } from "node-llama-cpp";
import type { Calibration } from "../../core/validation/calibration.ts";
import { isPlausibleByCopy } from "../../core/validation/is-plausible-by-copy.ts";
import type { CheckReport, Finding } from "../../core/wire/node-frame.ts";
import type { ChatInput, CheckInput, CompletionInput, Sampling } from "../../core/wire/task-input.ts";
import { AnswerChooser } from "./answer-chooser.ts";
import { AnswerPlace } from "./answer-place.ts";
import { AnswerProgress } from "./answer-progress.ts";
import { checkAnswer } from "./check-answer.ts";
import { type Claims, claimsOf } from "./claims.ts";
import type {
  ChatOptions,
  ChatOutcome,
  ChatPiece,
  ContextOverflow,
  Engine,
  PreparedChat,
  PreparedCheck,
} from "./engine.ts";
import { GrammarHost, type Matcher } from "./grammar/grammar-host.ts";
import { taskGrammar } from "./grammar/task-grammar.ts";
import { judgeEnding } from "./judge-ending.ts";
import { createPromptTokenizer, type PromptTokenizer } from "./prompt-tokens.ts";
import { RunningWork } from "./running-work.ts";
import { SequenceSlot } from "./sequence-slot.ts";
import { SlotPool } from "./slot-pool.ts";
import { StepScheduler } from "./step-scheduler.ts";
import type { Conversation } from "./tool-turns.ts";
import { UnknownTokenError } from "./unknown-token-error.ts";
import { UnsupportedTaskError } from "./unsupported-task-error.ts";
import { readVocabulary, type Vocabulary } from "./vocabulary.ts";

/** Tokens and time of the run that measures speed, whichever ends first. */
const speedRun = { tokens: 32, ms: 1_500 } as const;
const likeliest: Sampling = {
  ...{ temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, seed: 0, stop: [] },
  maxTokens: null,
};

/** Sequences of its context that only checks use, so that they push no conversation out of another's memory. */
export const checkSequences = 1;

/** A copy of the model's weights that is read faster, in a context with room for one check. */
export interface ReadingCopy {
  context: LlamaContext;
  /** The model's own: by it the copy's findings are taken or read again. */
  calibration: Calibration;
}

/** A chat model whose answers run side by side in the sequences of one context (continuous batching). */
export class LlamaChatEngine implements Engine {
  readonly kind = "chat";
  readonly dimensions = undefined;
  readonly contextTokens: number;
  readonly #model: LlamaModel;
  readonly #context: LlamaContext;
  readonly #vocabulary: Vocabulary;
  /** Every token of the model; its index is its id. */
  readonly #tokens: readonly Token[];
  readonly #tokenizePrompt: PromptTokenizer<Token>;
  /** Those of them that end an answer. */
  readonly #endIds: ReadonlySet<number>;
  readonly #slots: SlotPool<SequenceSlot>;
  readonly #checkSlots: SlotPool<SequenceSlot>;
  readonly #copy: (ReadingCopy & { slots: SlotPool<SequenceSlot> }) | undefined;
  readonly #grammars: GrammarHost;
  readonly #work = new RunningWork();

  /**
   * `context` must have a batch of at least `chunkTokens` plus one token for each of its sequences, of which the last
   * {@link checkSequences} are for checks. So must that of `copy`, where there is one.
   */
  constructor(options: {
    context: LlamaContext;
    contextTokens: number;
    chunkTokens: number;
    copy?: ReadingCopy | undefined;
  }) {
    this.#context = options.context;
    this.#model = options.context.model;
    this.contextTokens = options.contextTokens;
    this.#vocabulary = readVocabulary(this.#model);
    this.#tokens = [...this.#model.iterateAllTokens()];
    this.#tokenizePrompt = createPromptTokenizer(this.#model, this.#vocabulary);
    this.#endIds = new Set(this.#tokens.flatMap((token, id) => (this.#model.isEogToken(token) ? [id] : [])));
    this.#grammars = new GrammarHost({ texts: this.#vocabulary.spellings(), endIds: [...this.#endIds] });
    const scheduler = new StepScheduler({ chunkTokens: options.chunkTokens });
    const { context, copy } = options;
    const slots = (length: number) => Array.from({ length }, () => new SequenceSlot({ context, scheduler }));
    this.#slots = new SlotPool(slots(context.totalSequences - checkSequences));
    this.#checkSlots = new SlotPool(slots(checkSequences));
    if (copy !== undefined) {
      const slot = new SequenceSlot({ context: copy.context, scheduler, weights: "copy" });
      this.#copy = { ...copy, slots: new SlotPool([slot]) };
    }
  }

  async prepareChat(
    input: ChatInput | CompletionInput,
    { continues = [] }: ChatOptions = {},
  ): Promise<PreparedChat | ContextOverflow> {
    this.#work.ensureOpen();
    const continued = continues.map((tokenId) => this.#tokenOf(tokenId));
    this.#refuseUnknownBias(input);
    const prompt = this.#promptOf(input);
    const promptTokens = prompt.length;
    if (promptTokens >= this.contextTokens) {
      return { kind: "context_overflow", promptTokens, contextTokens: this.contextTokens, inputIndex: 0 };
    }
    // A grammar that cannot be prepared is the task's fault, and is told before the task counts as begun.
    (await this.#matcherOf(input, []))?.close();
    return {
      kind: "prepared",
      promptTokens,
      promptIds: prompt,
      run: (options) => this.#work.track(() => this.#answer({ input, prompt, continued, ...options })),
    };
  }

  async prepareEmbedding(): Promise<never> {
    throw new Error("a chat engine was asked for embeddings");
  }

  async prepareCheck(input: CheckInput): Promise<PreparedCheck | ContextOverflow> {
    this.#work.ensureOpen();
    const { of, tokenIds } = input;
    this.#refuseUnknownBias(of);
    const prompt = this.#promptOf(of);
    const promptTokens = prompt.length;
    const wholeTokens = Math.max(promptTokens + 1, promptTokens + tokenIds.length);
    if (wholeTokens > this.contextTokens) {
      return { kind: "context_overflow", promptTokens: wholeTokens, contextTokens: this.contextTokens, inputIndex: 0 };
    }
    (await this.#matcherOf(of, []))?.close();
    return {
      kind: "prepared",
      promptTokens,
      run: ({ signal }) => this.#work.track(() => this.#check({ input, prompt, signal })),
    };
  }

  measureTokensPerSecond(): Promise<number> {
    return this.#work.track(() => this.#withSlot([], new AbortController().signal, (slot) => this.#time(slot), 0));
  }

  async dispose(): Promise<void> {
    await this.#work.close();
    await this.#grammars.dispose();
    await this.#copy?.context.dispose();
    await this.#copy?.context.model.dispose();
    await this.#context.dispose();
    await this.#model.dispose();
  }

  async #answer({
    input,
    prompt,
    continued,
    onPiece,
    signal,
  }: {
    input: ChatInput | CompletionInput;
    prompt: readonly Token[];
    continued: readonly Token[];
    onPiece: (piece: ChatPiece) => void;
    signal: AbortSignal;
  }): Promise<ChatOutcome> {
    const { sampling } = input;
    const progress = new AnswerProgress({
      vocabulary: this.#vocabulary,
      stop: sampling.stop,
      maxTokens: sampling.maxTokens,
      roomTokens: this.contextTokens - prompt.length,
      continues: continued,
    });
    const toRead = [...prompt, ...continued];
    const generate = (slot: SequenceSlot) =>
      this.#generate(slot, { input, prompt: toRead, continued, progress, onPiece, signal });
    const finishReason = progress.ended ?? (await this.#withSlot(toRead, signal, generate, "cancelled" as const));
    const rest = progress.flush();
    if (rest !== "") onPiece({ tokenIds: [], text: rest });
    const completionTokens = progress.tokenIds.length - continued.length;
    const { stopSequence } = progress;
    const counts = { promptTokens: prompt.length, completionTokens };
    return { finishReason, ...(stopSequence === undefined ? {} : { stopSequence }), ...counts };
  }

  async #generate(
    slot: SequenceSlot,
    {
      input,
      prompt,
      continued,
      progress,
      onPiece,
      signal,
    }: {
      input: ChatInput | CompletionInput;
      prompt: readonly Token[];
      continued: readonly Token[];
      progress: AnswerProgress<Token>;
      onPiece: (piece: ChatPiece) => void;
      signal: AbortSignal;
    },
  ): Promise<ChatOutcome["finishReason"]> {
    const matcher = await this.#matcherOf(input, continued);
    try {
      const place = new AnswerPlace(this.#vocabulary, matcher?.first ?? "none");
      for (const token of continued) place.take(token, matcher?.first ?? "none");
      const chooser = this.#chooser({ sampling: input.sampling, endIds: this.#endIds, matcher, place });
      for await (const token of slot.generate({ prompt, signal, chooser })) {
        const { logprob } = chooser;
        onPiece({ ...progress.push(token), ...(logprob === undefined ? {} : { logprobs: [logprob] }) });
        if (progress.ended !== undefined) return progress.ended;
        if (chooser.isOver) return "stop";
      }
      return signal.aborted ? "cancelled" : "stop";
    } finally {
      matcher?.close();
    }
  }

  async #check({
    input,
    prompt,
    signal,
  }: {
    input: CheckInput;
    prompt: readonly Token[];
    signal: AbortSignal;
  }): Promise<CheckReport> {
    const { tokenIds, positions } = input;
    const matcher = await this.#matcherOf(input.of, []);
    const place = new AnswerPlace(this.#vocabulary, matcher?.first ?? "none");
    const by = { matcher, place, tokens: this.#tokens, endIds: this.#endIds };
    const claimed = await claimsOf({ tokenIds, positions, ...by }).finally(() => matcher?.close());
    const read = (slots: SlotPool<SequenceSlot>) => this.#findings(slots, { input, prompt, claimed, signal });
    const findings = (await this.#plausibleByCopy(input, read)) ?? (await read(this.#checkSlots));
    const roomTokens = Math.max(1, (input.contextTokens ?? this.contextTokens) - prompt.length);
    const ending = judgeEnding(input, { vocabulary: this.#vocabulary, endIds: this.#endIds, roomTokens });
    const isPossible = claimed.readable.length === tokenIds.length;
    return { findings, ...ending, isEndRight: ending.isEndRight && isPossible };
  }

  /** What the copy finds, where that is clearly plausible: against an answer speaks only what the model itself has found. */
  async #plausibleByCopy(
    { tokenIds, isOfSeveral }: CheckInput,
    read: (slots: SlotPool<SequenceSlot>) => Promise<Finding[]>,
  ): Promise<Finding[] | undefined> {
    if (this.#copy === undefined || isOfSeveral === true) return undefined;
    const { slots, calibration } = this.#copy;
    const findings = await read(slots).catch(() => undefined);
    // What went wrong with the copy is not the answer's fault. An abort ends the reading of the file at once.
    if (findings === undefined) return undefined;
    return isPlausibleByCopy(findings, { answerTokens: tokenIds.length, calibration }) ? findings : undefined;
  }

  async #findings(
    slots: SlotPool<SequenceSlot>,
    by: { input: CheckInput; prompt: readonly Token[]; claimed: Claims; signal: AbortSignal },
  ): Promise<Finding[]> {
    const slot = await slots.acquire(by.prompt, by.signal);
    if (slot === undefined) throw by.signal.reason;
    try {
      return await checkAnswer({ ...by, slot, tokens: this.#tokens });
    } finally {
      slots.release(slot);
    }
  }

  #promptOf(input: ChatInput | CompletionInput): Token[] {
    return input.kind === "chat" ? this.#tokenizePrompt(shownTo(input)) : this.#rawPrompt(input.prompt);
  }

  /** The task's grammar after these tokens, where it has one. */
  async #matcherOf(input: ChatInput | CompletionInput, taken: readonly Token[]): Promise<Matcher | undefined> {
    const grammar = taskGrammar(input);
    if (grammar === undefined) return undefined;
    return this.#grammars.open(grammar.source, { ...grammar, tokenIds: taken.map(Number) });
  }

  #chooser(by: {
    sampling: Sampling;
    endIds: ReadonlySet<number>;
    matcher: Matcher | undefined;
    place: AnswerPlace;
  }): AnswerChooser {
    return new AnswerChooser({ vocabulary: this.#vocabulary, tokens: this.#tokens, ...by });
  }

  /** A text to go on with, without a template; control tokens' texts in it are mere text. */
  #rawPrompt(prompt: string | readonly number[]): Token[] {
    if (typeof prompt !== "string") return prompt.map((id) => this.#tokenOf(id));
    const { bos, shouldPrependBosToken } = this.#model.tokens;
    const tokens = this.#model.tokenize(prompt);
    return shouldPrependBosToken && bos !== null ? [bos, ...tokens] : tokens;
  }

  #refuseUnknownBias({ sampling: { logitBias = [] } }: ChatInput | CompletionInput): void {
    const unknown = logitBias.find(([id]) => id >= this.#tokens.length);
    if (unknown === undefined) return;
    const message = `it has no token ${unknown[0]}; its ids go from 0 to ${this.#tokens.length - 1}`;
    throw new UnsupportedTaskError(message, { param: "logit_bias" });
  }

  #tokenOf(tokenId: number): Token {
    const token = this.#tokens[tokenId];
    if (token === undefined) throw new UnknownTokenError({ tokenId, vocabularyTokens: this.#tokens.length });
    return token;
  }

  /** Lends a slot to `action`; answers `aborted` where the signal aborts before there is one. */
  async #withSlot<T>(
    prompt: readonly Token[],
    signal: AbortSignal,
    action: (slot: SequenceSlot) => Promise<T>,
    aborted: T,
  ): Promise<T> {
    const slot = await this.#slots.acquire(prompt, signal);
    if (slot === undefined) return aborted;
    try {
      return await action(slot);
    } finally {
      this.#slots.release(slot);
    }
  }

  /** Tokens per second from the first generated token on; ends of answer are passed over, so that it always has some. */
  async #time(slot: SequenceSlot): Promise<number> {
    const { bos } = this.#model.tokens;
    const prompt = [...(bos === null ? [] : [bos]), ...this.#model.tokenize("Once upon a time")];
    const longest = Math.min(speedRun.tokens + 1, this.contextTokens - prompt.length);
    let startedMs: number | undefined;
    let tokens = 0;
    const place = new AnswerPlace(this.#vocabulary, "none");
    const chooser = this.#chooser({ sampling: likeliest, endIds: new Set(), matcher: undefined, place });
    for await (const _token of slot.generate({ prompt, signal: new AbortController().signal, chooser })) {
      startedMs ??= performance.now();
      tokens++;
      const elapsedMs = performance.now() - startedMs;
      if (tokens === longest || (tokens > 1 && elapsedMs > speedRun.ms)) return ((tokens - 1) * 1_000) / elapsedMs;
    }
    throw new Error("the model ended a run in which ends are passed over");
  }
}

/** What the model gets to read: of tools that it must not call it is not told. */
function shownTo({ messages, tools, toolChoice }: ChatInput): Conversation {
  return { messages, tools: toolChoice === "none" ? undefined : tools };
}
