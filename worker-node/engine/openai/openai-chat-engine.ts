import { choosableTokens } from "../../../core/decoding/ranked-candidates.ts";
import type { ChatInput, CheckInput, CompletionInput, Sampling } from "../../../core/wire/task-input.ts";
import type {
  ChatOptions,
  ChatOutcome,
  ChatPiece,
  ContextOverflow,
  Engine,
  PreparedChat,
  PreparedCheck,
} from "../engine.ts";
import { taskGrammar } from "../grammar/task-grammar.ts";
import { RunningWork } from "../running-work.ts";
import { UnknownTokenError } from "../unknown-token-error.ts";
import { UnsupportedTaskError } from "../unsupported-task-error.ts";
import { checkAnswer } from "./check-answer.ts";
import type { Upstream, UpstreamFeatures } from "./upstream.ts";
import { UpstreamAnswer } from "./upstream-answer.ts";
import { UpstreamError } from "./upstream-error.ts";
import type { PromptReader } from "./upstream-reading.ts";

/** Tokens of the run that measures speed. */
const speedTokens = 32;

/** At temperature 0 the likeliest counts, and how far below it the claimed one is. */
const likeliestAtZero = 20;

/** Probabilities that one check may be told: some 40 MB of JSON. */
const mostEntries = 500_000;

const speedSampling: Sampling = {
  ...{ temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0 },
  ...{ seed: 1, stop: [], maxTokens: null },
};

/** One answer to be made, as it was prepared. */
interface Work {
  input: ChatInput | CompletionInput;
  prompt: readonly number[];
  continues: readonly number[];
  grammar: string | undefined;
}

/**
 * A chat model that a server of the operator's runs. The prompt is rendered and counted by that server; the answer is
 * asked for by token ids, so that a new answer and a continued one go the same way.
 */
export class OpenAiChatEngine implements Engine {
  readonly kind = "chat";
  readonly dimensions = undefined;
  readonly contextTokens: number;
  readonly #upstream: Upstream;
  readonly #features: UpstreamFeatures;
  readonly #work = new RunningWork();

  /** `contextTokens` is at most the upstream's own. */
  constructor(options: { upstream: Upstream; features: UpstreamFeatures; contextTokens: number }) {
    this.#upstream = options.upstream;
    this.#features = options.features;
    this.contextTokens = options.contextTokens;
  }

  /**
   * As every engine's; besides, throws `UnsupportedTaskError` for what the upstream cannot do, and `UpstreamError`
   * where it fails or cannot continue this answer, which another node may.
   */
  async prepareChat(
    input: ChatInput | CompletionInput,
    { continues = [] }: ChatOptions = {},
  ): Promise<PreparedChat | ContextOverflow> {
    this.#work.ensureOpen();
    this.#refuse(input);
    const grammar = this.#grammarOf(input);
    this.#ensureKnown(continues);
    if (continues.length > 0) this.#ensureContinuable(input, grammar);
    const prompt = await this.#promptOf(input);
    const promptTokens = prompt.length;
    if (promptTokens >= this.contextTokens) {
      return { kind: "context_overflow", promptTokens, contextTokens: this.contextTokens, inputIndex: 0 };
    }
    return {
      kind: "prepared",
      promptTokens,
      promptIds: prompt,
      run: (options) => this.#work.track(() => this.#answer({ input, prompt, continues, grammar }, options)),
    };
  }

  async prepareEmbedding(): Promise<never> {
    throw new Error("a chat engine was asked for embeddings");
  }

  async prepareCheck(input: CheckInput): Promise<PreparedCheck | ContextOverflow> {
    this.#work.ensureOpen();
    const { reader, top } = this.#readerFor(input);
    const prompt = await this.#promptOf(input.of);
    const { contextTokens } = this;
    // One more for the end's place, and one that the server insists on making.
    const neededTokens = prompt.length + input.tokenIds.length + 2;
    if (neededTokens > contextTokens) {
      return { kind: "context_overflow", promptTokens: neededTokens, contextTokens, inputIndex: 0 };
    }
    const entries = neededTokens * top;
    if (entries > mostEntries)
      this.#cannotCheck(`would have to tell ${entries} probabilities, more than it is asked for`);
    const work = { upstream: this.#upstream, reader, prompt, contextTokens, top };
    return {
      kind: "prepared",
      promptTokens: prompt.length,
      run: ({ signal }) => this.#work.track(() => checkAnswer(input, { ...work, signal })),
    };
  }

  /** What reads the answer, and how much of each place. Throws `UnsupportedTaskError` for what cannot be checked. */
  #readerFor({ of: asked, tokenIds, positions }: CheckInput): { reader: PromptReader; top: number } {
    const { reader } = this.#upstream;
    const { readTop } = this.#features;
    const { temperature, frequencyPenalty, presencePenalty, logitBias } = asked.sampling;
    if (reader === undefined || readTop === 0) return this.#cannotCheck("does not tell the probabilities of a prompt");
    if (logitBias !== undefined) return this.#cannotCheck("cannot check answers with a bias", "logit_bias");
    if (frequencyPenalty !== 0) return this.#cannotCheck("cannot check answers with penalties", "frequency_penalty");
    if (presencePenalty !== 0) return this.#cannotCheck("cannot check answers with penalties", "presence_penalty");
    if (asked.kind === "chat") {
      const { tools, toolChoice, format } = asked;
      if (tools !== undefined && toolChoice !== "none")
        return this.#cannotCheck("cannot check calls of tools", "tools");
      if (format !== undefined) return this.#cannotCheck("cannot check answers of a format", "response_format");
    }
    if (positions.includes(tokenIds.length) && reader.endIds.size === 0) {
      return this.#cannotCheck("has not shown yet which token ends an answer");
    }
    if (temperature === 0) return { reader, top: Math.min(readTop, likeliestAtZero) };
    const needed = choosableTokens(asked.sampling);
    if (readTop >= needed) return { reader, top: readTop };
    const words = `tells ${readTop} of the likeliest tokens, and a check at a temperature needs ${needed}`;
    return this.#cannotCheck(words, "temperature");
  }

  #cannotCheck(words: string, param?: string): never {
    const options = param === undefined ? {} : { param };
    throw new UnsupportedTaskError(`this node's ${this.#upstream.software} ${words}`, options);
  }

  measureTokensPerSecond(): Promise<number> {
    return this.#work.track(() => this.#measure());
  }

  async dispose(): Promise<void> {
    await this.#work.close();
  }

  #refuse(input: ChatInput | CompletionInput): void {
    const refuse = (what: string, param: string) => {
      throw new UnsupportedTaskError(`this node's ${this.#upstream.software} ${what}`, { param });
    };
    const { logitBias, logprobs } = input.sampling;
    if (logitBias !== undefined && !this.#features.logitBias) refuse("takes no logit bias", "logit_bias");
    if (logprobs !== undefined && !this.#features.logprobs) refuse("tells no probabilities", "logprobs");
    if (input.kind === "completion") return;
    if (input.tools !== undefined && input.toolChoice !== "none") {
      refuse("cannot be held to calls of tools", "tools");
    }
    if (input.format !== undefined && !this.#features.format) refuse("takes no grammar", "response_format");
  }

  #grammarOf(input: ChatInput | CompletionInput): string | undefined {
    const source = taskGrammar(input)?.source;
    if (source === undefined) return undefined;
    if (source.type !== "text") throw new Error("a grammar of tool calls was not refused");
    return source.ebnf;
  }

  /** What the sampler or the grammar would have to know of the tokens before, and this upstream's does not. */
  #ensureContinuable({ sampling }: ChatInput | CompletionInput, grammar: string | undefined): void {
    const { frequencyPenalty, presencePenalty } = sampling;
    const hasPenalty = frequencyPenalty !== 0 || presencePenalty !== 0;
    if (grammar === undefined && (!hasPenalty || this.#upstream.penalizesPrompt)) return;
    const what = grammar === undefined ? "penalties" : "a format";
    throw new UpstreamError(`${this.#upstream.software} cannot continue an answer with ${what}`);
  }

  async #promptOf(input: ChatInput | CompletionInput): Promise<readonly number[]> {
    if (input.kind === "chat") return this.#upstream.tokenizeChat(input.messages);
    if (typeof input.prompt === "string") return this.#upstream.tokenize(input.prompt);
    this.#ensureKnown(input.prompt);
    return input.prompt;
  }

  #ensureKnown(tokenIds: readonly number[]): void {
    const { vocabularyTokens } = this.#upstream;
    for (const tokenId of tokenIds) {
      const isKnown = Number.isInteger(tokenId) && tokenId >= 0 && tokenId < vocabularyTokens;
      if (!isKnown) throw new UnknownTokenError({ tokenId, vocabularyTokens });
    }
  }

  async #answer(
    work: Work,
    { onPiece, signal }: { onPiece: (piece: ChatPiece) => void; signal: AbortSignal },
  ): Promise<ChatOutcome> {
    const { input, prompt, continues } = work;
    const promptTokens = prompt.length;
    if (signal.aborted) return { finishReason: "cancelled", promptTokens, completionTokens: 0 };
    const { maxTokens, stop } = input.sampling;
    const room = this.contextTokens - promptTokens;
    const answer = await UpstreamAnswer.after({
      continues,
      stop,
      longestTokens: Math.min(maxTokens ?? room, room),
      detokenize: (tokenIds) => this.#upstream.detokenize(tokenIds),
    });
    let completionTokens = 0;
    const count = (piece: ChatPiece) => {
      completionTokens += piece.tokenIds.length;
      onPiece(piece);
    };
    const finishReason = answer.ended ?? (await this.#generate(work, { answer, onPiece: count, signal }));
    const rest = answer.ended === undefined ? answer.flush() : "";
    if (rest !== "") onPiece({ tokenIds: [], text: rest });
    const { stopSequence } = answer;
    return { finishReason, ...(stopSequence === undefined ? {} : { stopSequence }), promptTokens, completionTokens };
  }

  async #generate(
    { input, prompt, continues, grammar }: Work,
    { answer, onPiece, signal }: { answer: UpstreamAnswer; onPiece: (piece: ChatPiece) => void; signal: AbortSignal },
  ): Promise<ChatOutcome["finishReason"]> {
    const pieces = this.#upstream.generate({
      tokenIds: [...prompt, ...continues],
      continuedTokens: continues.length,
      maxTokens: answer.roomTokens,
      sampling: input.sampling,
      grammar,
      signal,
    });
    try {
      for (;;) {
        const { done, value } = await pieces.next();
        if (done === true) return value;
        const piece = await answer.push(value);
        if (signal.aborted) return "cancelled";
        if (piece.tokenIds.length + piece.text.length > 0) onPiece(piece);
        if (answer.ended !== undefined) return answer.ended;
        if (signal.aborted) return "cancelled";
      }
    } catch (error) {
      if (signal.aborted && error === signal.reason) return "cancelled";
      throw error;
    } finally {
      await pieces.return("stop");
    }
  }

  /** Tokens per second from the first generated token on. */
  async #measure(): Promise<number> {
    const tokenIds = await this.#upstream.tokenize("Once upon a time");
    let startedMs: number | undefined;
    let first = 0;
    let tokens = 0;
    const pieces = this.#upstream.generate({
      ...{ tokenIds, continuedTokens: 0, sampling: speedSampling, passesEnds: true },
      maxTokens: Math.min(speedTokens + 1, this.contextTokens - tokenIds.length),
      signal: new AbortController().signal,
    });
    for await (const piece of pieces) {
      tokens += piece.tokenIds.length;
      if (startedMs !== undefined) continue;
      startedMs = performance.now();
      first = tokens;
    }
    if (startedMs === undefined || tokens <= first) throw new UpstreamError("the upstream made too little to measure");
    return ((tokens - first) * 1_000) / Math.max(performance.now() - startedMs, 0.001);
  }
}
