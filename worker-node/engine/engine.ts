import type { CheckReport, Logprob } from "../../core/wire/node-frame.ts";
import type { ChatInput, CheckInput, CompletionInput, EmbedInput } from "../../core/wire/task-input.ts";

/** A piece of an answer: the token ids chosen and the text they complete (which may be empty: half a character). */
export interface ChatPiece {
  tokenIds: readonly number[];
  text: string;
  /** One for each id, where the task asks for them. */
  logprobs?: readonly Logprob[];
}

export type ChatOutcome = {
  finishReason: "stop" | "length" | "cancelled";
  /** The one of the task's stop strings that ended it. */
  stopSequence?: string;
  /** Of the prompt alone, without what was continued. */
  promptTokens: number;
  /** Tokens that this run generated, the end-of-turn token left out: the number of ids in all pieces. */
  completionTokens: number;
};

/** The prompt cannot be read by this model; nothing was run. */
export interface ContextOverflow {
  kind: "context_overflow";
  promptTokens: number;
  contextTokens: number;
  /** Which of several inputs overflows (embeddings), counted from 0. */
  inputIndex: number;
}

export interface ChatOptions {
  /**
   * Token ids of this very answer that another node made and the reader has, in order. The run gives what comes after
   * them. They count for `maxTokens`, penalties and stop strings as if this run had made them, and an answer that
   * they end already (`stop`, `length`) ends at once. Where the
   * engine draws by docs/SAMPLING.md the whole answer is the one that a single node gives, at any temperature, up to
   * honest differences between reading tokens and generating them; an engine that draws otherwise says so.
   */
  continues?: readonly number[];
}

/** A prompt that fits, rendered and tokenised, not yet run. */
export interface PreparedChat {
  kind: "prepared";
  promptTokens: number;
  /** The prompt's token ids, `promptTokens` of them; absent where the backend does not tell them. */
  promptIds?: readonly number[];
  /**
   * Runs it. `onPiece` is called in order as tokens come; a piece without ids is the last one, held back until the
   * model ended its answer. Resolves once the engine holds nothing of it any more; aborting `signal` ends it with
   * `cancelled` and what came until then.
   */
  run(options: { onPiece: (piece: ChatPiece) => void; signal: AbortSignal }): Promise<ChatOutcome>;
}

export interface PreparedEmbedding {
  kind: "prepared";
  promptTokens: number;
  /** One unit-length vector for each input, in order. Aborting `signal` stops between inputs; the promise then rejects with its reason. */
  run(options: { onVector: (index: number, vector: Float32Array) => void; signal: AbortSignal }): Promise<void>;
}

/** A claimed answer to check, with its prompt rendered and tokenised. */
export interface PreparedCheck {
  kind: "prepared";
  promptTokens: number;
  /**
   * Reads prompt and claimed ids once and says how plausible the answer is (`core/decoding/claim-margin.ts`), beside
   * the engine's answers and after them where both want to go on. Aborting `signal` makes the promise reject with its
   * reason.
   */
  run(options: { signal: AbortSignal }): Promise<CheckReport>;
}

/** One loaded model file. All engines pass one conformance suite (`engine-conformance.ts`). */
export interface Engine {
  readonly kind: "chat" | "embedding";
  /** Longest prompt plus answer, in tokens. */
  readonly contextTokens: number;
  /** Length of a vector; `undefined` for chat models. */
  readonly dimensions: number | undefined;
  /**
   * Renders with the model's own chat template and counts. Throws `ChatTemplateError` where the template can't express
   * this conversation in any order of roles (the request's fault), `UnknownTokenError` where `continues` holds an id
   * that the model doesn't have, else only on broken invariants.
   */
  prepareChat(input: ChatInput | CompletionInput, options?: ChatOptions): Promise<PreparedChat | ContextOverflow>;
  prepareEmbedding(input: EmbedInput): Promise<PreparedEmbedding | ContextOverflow>;
  /**
   * Throws `UnsupportedTaskError` where this engine cannot check. Ids that the model does not have are no error: they
   * are findings of the greatest margin.
   */
  prepareCheck(input: CheckInput): Promise<PreparedCheck | ContextOverflow>;
  /** Decode speed of one stream in tokens per second, measured now by a short run. For embeddings, input tokens per second. */
  measureTokensPerSecond(): Promise<number>;
  /** Waits for what runs, then frees the model. */
  dispose(): Promise<void>;
}
