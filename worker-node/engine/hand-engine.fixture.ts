import type { CheckReport } from "../../core/wire/node-frame.ts";
import type { ChatInput, CheckInput } from "../../core/wire/task-input.ts";
import type {
  ChatOptions,
  ChatPiece,
  ContextOverflow,
  Engine,
  PreparedChat,
  PreparedCheck,
  PreparedEmbedding,
} from "./engine.ts";
import { UnsupportedTaskError } from "./unsupported-task-error.ts";

/** One run of {@link HandEngine}, in the test's hands. */
export interface Run {
  piece(piece: ChatPiece): void;
  vector(index: number, vector: Float32Array): void;
  report(report: CheckReport): void;
  finish(reason?: "stop" | "length"): void;
  fail(error: unknown): void;
  readonly isAborted: boolean;
}

/** An engine that does what the test tells it, and lets go only when the test says so where `isStubborn`. */
export class HandEngine implements Engine {
  readonly contextTokens = 100;
  readonly dimensions = undefined;
  readonly kind: "chat" | "embedding";
  readonly runs: Run[] = [];
  /** The ids to go on after, of each chat that was prepared. */
  readonly continued: (readonly number[])[] = [];
  overflow: ContextOverflow | undefined;
  refusal: Error | undefined;
  isStubborn = false;
  canCheck = true;
  /** What was prepared to be checked. */
  readonly checked: CheckInput[] = [];
  /** What its prompts are read as. */
  promptIds: readonly number[] | undefined = [1, 2, 3, 4, 5, 6, 7];

  constructor(kind: "chat" | "embedding" = "chat") {
    this.kind = kind;
  }

  async prepareChat(_input: ChatInput, { continues = [] }: ChatOptions = {}): Promise<PreparedChat | ContextOverflow> {
    this.continued.push(continues);
    if (this.refusal !== undefined) throw this.refusal;
    if (this.overflow !== undefined) return this.overflow;
    return {
      kind: "prepared",
      promptTokens: 7,
      ...(this.promptIds === undefined ? {} : { promptIds: this.promptIds }),
      run: ({ onPiece, signal }) =>
        new Promise((resolve, reject) => {
          let tokens = 0;
          const end = (finishReason: "stop" | "length" | "cancelled") =>
            resolve({ finishReason, promptTokens: 7, completionTokens: tokens });
          this.#hold(signal, () => end("cancelled"), {
            piece: (piece) => {
              tokens += piece.tokenIds.length;
              onPiece(piece);
            },
            vector: () => reject(new Error("a chat has no vectors")),
            report: () => reject(new Error("a chat has no report")),
            finish: (reason = "stop") => end(signal.aborted ? "cancelled" : reason),
            fail: reject,
          });
        }),
    };
  }

  async prepareEmbedding(): Promise<PreparedEmbedding | ContextOverflow> {
    if (this.overflow !== undefined) return this.overflow;
    return {
      kind: "prepared",
      promptTokens: 7,
      run: ({ onVector, signal }) =>
        new Promise((resolve, reject) => {
          this.#hold(signal, () => reject(signal.reason), {
            piece: () => reject(new Error("an embedding has no text")),
            vector: onVector,
            report: () => reject(new Error("an embedding has no report")),
            finish: () => resolve(),
            fail: reject,
          });
        }),
    };
  }

  async prepareCheck(input: CheckInput): Promise<PreparedCheck | ContextOverflow> {
    if (!this.canCheck) throw new UnsupportedTaskError("this engine cannot check answers");
    if (this.overflow !== undefined) return this.overflow;
    this.checked.push(input);
    return {
      kind: "prepared",
      promptTokens: 7,
      run: ({ signal }) =>
        new Promise((resolve, reject) => {
          this.#hold(signal, () => reject(signal.reason), {
            piece: () => reject(new Error("a check has no text")),
            vector: () => reject(new Error("a check has no vectors")),
            report: resolve,
            finish: () => reject(new Error("a check ends with its report")),
            fail: reject,
          });
        }),
    };
  }

  #hold(signal: AbortSignal, onAbort: () => void, run: Omit<Run, "isAborted">): void {
    if (!this.isStubborn) signal.addEventListener("abort", onAbort);
    this.runs.push({
      ...run,
      get isAborted() {
        return signal.aborted;
      },
    });
  }

  async measureTokensPerSecond(): Promise<number> {
    return 1;
  }
  async dispose(): Promise<void> {}
}
