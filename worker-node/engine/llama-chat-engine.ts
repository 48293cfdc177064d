import type { LlamaContext, LlamaModel, Token } from "node-llama-cpp";
import type { ChatInput, CompletionInput } from "../../core/wire/task-input.ts";
import { AnswerChooser } from "./answer-chooser.ts";
import { AnswerProgress } from "./answer-progress.ts";
import type { ChatOptions, ChatOutcome, ChatPiece, ContextOverflow, Engine, PreparedChat } from "./engine.ts";
import { GrammarHost } from "./grammar/grammar-host.ts";
import { taskGrammar } from "./grammar/task-grammar.ts";
import { createPromptTokenizer, type PromptTokenizer } from "./prompt-tokens.ts";
import { RunningWork } from "./running-work.ts";
import { samplingOptions } from "./sampling-options.ts";
import { SequenceSlot } from "./sequence-slot.ts";
import { SlotPool } from "./slot-pool.ts";
import { StepScheduler } from "./step-scheduler.ts";
import type { Conversation } from "./tool-turns.ts";
import { UnknownTokenError } from "./unknown-token-error.ts";
import { UnsupportedTaskError } from "./unsupported-task-error.ts";
import { readVocabulary, type Vocabulary } from "./vocabulary.ts";

/** Tokens and time of the run that measures speed, whichever ends first. */
const speedRun = { tokens: 32, ms: 1_500 } as const;

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
  readonly #slots: SlotPool<SequenceSlot>;
  readonly #grammars: GrammarHost;
  readonly #work = new RunningWork();

  /** `context` must have a batch of at least `chunkTokens` plus one token for each of its sequences. */
  constructor(options: { context: LlamaContext; contextTokens: number; chunkTokens: number }) {
    this.#context = options.context;
    this.#model = options.context.model;
    this.contextTokens = options.contextTokens;
    this.#vocabulary = readVocabulary(this.#model);
    this.#tokens = [...this.#model.iterateAllTokens()];
    this.#tokenizePrompt = createPromptTokenizer(this.#model, this.#vocabulary);
    const endIds = this.#tokens.flatMap((token, id) => (this.#model.isEogToken(token) ? [id] : []));
    this.#grammars = new GrammarHost({ texts: this.#vocabulary.spellings(), endIds });
    const scheduler = new StepScheduler({ chunkTokens: options.chunkTokens });
    const { context } = options;
    this.#slots = new SlotPool(
      Array.from({ length: context.totalSequences }, () => new SequenceSlot({ context, scheduler })),
    );
  }

  async prepareChat(
    input: ChatInput | CompletionInput,
    { continues = [] }: ChatOptions = {},
  ): Promise<PreparedChat | ContextOverflow> {
    this.#work.ensureOpen();
    const continued = continues.map((tokenId) => this.#tokenOf(tokenId));
    this.#refuseUnknownBias(input);
    const prompt = input.kind === "chat" ? this.#tokenizePrompt(shownTo(input)) : this.#rawPrompt(input.prompt);
    const promptTokens = prompt.length;
    if (promptTokens >= this.contextTokens) {
      return { kind: "context_overflow", promptTokens, contextTokens: this.contextTokens, inputIndex: 0 };
    }
    const grammar = taskGrammar(input);
    // One that cannot be prepared is the task's fault, and is told before the task counts as begun.
    if (grammar !== undefined) (await this.#grammars.open(grammar.source, { ...grammar, tokenIds: [] })).close();
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

  async prepareCheck(): Promise<never> {
    throw new UnsupportedTaskError("this node cannot check answers yet");
  }

  measureTokensPerSecond(): Promise<number> {
    return this.#work.track(() => this.#withSlot([], new AbortController().signal, (slot) => this.#time(slot), 0));
  }

  async dispose(): Promise<void> {
    await this.#work.close();
    await this.#grammars.dispose();
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
    const generate = async (slot: SequenceSlot): Promise<ChatOutcome["finishReason"]> => {
      const isPlain = sampling.logitBias === undefined && sampling.logprobs === undefined;
      if (!isPlain || taskGrammar(input) !== undefined) {
        return this.#generateChosen(slot, { input, prompt: toRead, continued, progress, onPiece, signal });
      }
      const evaluate = samplingOptions({
        sampling,
        generated: progress.tokenIds,
        longestAnswerTokens: progress.longestTokens,
        continuedTokens: continued.length,
      });
      for await (const token of slot.generate({ prompt: toRead, signal, evaluate })) {
        onPiece(progress.push(token));
        if (progress.ended !== undefined) return progress.ended;
      }
      return signal.aborted ? "cancelled" : "stop";
    };
    const finishReason = progress.ended ?? (await this.#withSlot(toRead, signal, generate, "cancelled" as const));
    const rest = progress.flush();
    if (rest !== "") onPiece({ tokenIds: [], text: rest });
    const completionTokens = progress.tokenIds.length - continued.length;
    const { stopSequence } = progress;
    const counts = { promptTokens: prompt.length, completionTokens };
    return { finishReason, ...(stopSequence === undefined ? {} : { stopSequence }), ...counts };
  }

  /** The same token by token: with a grammar, a bias, or probabilities to tell. */
  async #generateChosen(
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
    const grammar = taskGrammar(input);
    const matcher =
      grammar === undefined
        ? undefined
        : await this.#grammars.open(grammar.source, { ...grammar, tokenIds: continued.map(Number) });
    try {
      const chooser = new AnswerChooser({
        sampling: input.sampling,
        vocabulary: this.#vocabulary,
        tokens: this.#tokens,
        isEnd: (token) => this.#model.isEogToken(token),
        matcher,
        continued,
      });
      for await (const token of slot.generateChosen({ prompt, signal, chooser })) {
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
    const evaluate = { temperature: 0, yieldEogToken: true };
    for await (const _token of slot.generate({ prompt, signal: new AbortController().signal, evaluate })) {
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
