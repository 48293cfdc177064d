import type { CheckReport } from "../../core/wire/node-frame.ts";
import type { ChatInput, CheckInput, CompletionInput } from "../../core/wire/task-input.ts";
import type {
  ChatOptions,
  ChatPiece,
  ContextOverflow,
  Engine,
  PreparedChat,
  PreparedCheck,
} from "../../worker-node/engine/engine.ts";
import { UnsupportedTaskError } from "../../worker-node/engine/unsupported-task-error.ts";

export type TextInput = ChatInput | CompletionInput;

/** A whole answer, in the pieces in which it is told. */
export interface Answer {
  pieces: readonly ChatPiece[];
  finishReason: "stop" | "length" | "cancelled";
}

/** What a cheat has to work with. */
export interface Means {
  /** What the model that the node says it serves answers to this. */
  honest(input: TextInput): Promise<Answer>;
  /** What another model answers, which the node loads at its first use. */
  other(input: TextInput): Promise<Answer>;
  /** Ids of a text in the vocabulary of the model that the node says it serves. */
  idsOf(text: string): Promise<readonly number[]>;
  /** Tasks that it has answered before this one. */
  answered: number;
  /** Of this node, the same in each run. */
  random(): number;
  /** What a pair tells each other; empty lines never. */
  shared: { add(line: string): void; has(line: string): boolean };
}

/** How a node cheats. What is left out is done honestly, but checks: who cheats lets others do them. */
export interface Cheat {
  answer?: (input: TextInput, means: Means) => Promise<Answer>;
  /** Tokens of the prompt that it counts and that are not there. */
  extraPromptTokens?: number;
  check?: (input: CheckInput, means: Means) => CheckReport | "honest";
  /** Honest answers, and honest checks where `check` says nothing of them. */
  checksHonestly?: true;
}

/** An engine that looks like the honest one from outside, and cheats. */
export class HostileEngine implements Engine {
  readonly kind: Engine["kind"];
  readonly contextTokens: number;
  readonly dimensions: number | undefined;
  readonly #honest: Engine;
  readonly #loadOther: () => Promise<Engine>;
  readonly #cheat: Cheat;
  readonly #shared: Means["shared"];
  readonly #random: () => number;
  #other: Promise<Engine> | undefined;
  #answered = 0;

  constructor(options: {
    honest: Engine;
    loadOther: () => Promise<Engine>;
    cheat: Cheat;
    shared: Means["shared"];
    random: () => number;
  }) {
    this.#honest = options.honest;
    this.#loadOther = options.loadOther;
    this.#cheat = options.cheat;
    this.#shared = options.shared;
    this.#random = options.random;
    this.kind = options.honest.kind;
    this.contextTokens = options.honest.contextTokens;
    this.dimensions = options.honest.dimensions;
  }

  async prepareChat(input: TextInput, options?: ChatOptions): Promise<PreparedChat | ContextOverflow> {
    const prepared = await this.#honest.prepareChat(input, options);
    const { answer, extraPromptTokens = 0 } = this.#cheat;
    // What another node began is gone on with honestly: a cheat there is found all the same.
    if (prepared.kind !== "prepared" || options?.continues !== undefined) return prepared;
    const promptTokens = prepared.promptTokens + extraPromptTokens;
    const run: PreparedChat["run"] = async ({ onPiece, signal }) => {
      if (answer === undefined) return { ...(await prepared.run({ onPiece, signal })), promptTokens };
      const { pieces, finishReason } = await answer(input, this.#means());
      this.#answered += 1;
      for (const piece of pieces) if (!signal.aborted) onPiece(piece);
      const completionTokens = pieces.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0);
      return { finishReason: signal.aborted ? "cancelled" : finishReason, promptTokens, completionTokens };
    };
    return { ...prepared, promptTokens, run };
  }

  async prepareCheck(input: CheckInput): Promise<PreparedCheck | ContextOverflow> {
    const report = this.#cheat.check?.(input, this.#means()) ?? "honest";
    if (report === "honest") {
      if (this.#cheat.checksHonestly) return this.#honest.prepareCheck(input);
      throw new UnsupportedTaskError("this node does not check");
    }
    const prepared = await this.#honest.prepareChat(input.of);
    if (prepared.kind !== "prepared") return prepared;
    return { kind: "prepared", promptTokens: prepared.promptTokens, run: async () => report };
  }

  prepareEmbedding(...parameters: Parameters<Engine["prepareEmbedding"]>): ReturnType<Engine["prepareEmbedding"]> {
    return this.#honest.prepareEmbedding(...parameters);
  }

  measureTokensPerSecond(): Promise<number> {
    return this.#honest.measureTokensPerSecond();
  }

  async dispose(): Promise<void> {
    await this.#honest.dispose();
    await (await this.#other)?.dispose();
  }

  #means(): Means {
    return {
      honest: (input) => ask(this.#honest, input),
      other: async (input) => {
        this.#other ??= this.#loadOther();
        return ask(await this.#other, input);
      },
      idsOf: async (text) => {
        const sampling = {
          temperature: 0,
          topP: 1,
          frequencyPenalty: 0,
          presencePenalty: 0,
          seed: 0,
          stop: [],
          maxTokens: 1,
        };
        return (await prepared(this.#honest, { kind: "completion", prompt: text, sampling })).promptIds ?? [];
      },
      answered: this.#answered,
      random: this.#random,
      shared: this.#shared,
    };
  }
}

async function ask(engine: Engine, input: TextInput): Promise<Answer> {
  const ready = await prepared(engine, input);
  const pieces: ChatPiece[] = [];
  const { finishReason } = await ready.run({
    onPiece: (piece) => void pieces.push(piece),
    signal: new AbortController().signal,
  });
  return { pieces, finishReason };
}

async function prepared(engine: Engine, input: TextInput): Promise<PreparedChat> {
  const ready = await engine.prepareChat(input);
  if (ready.kind !== "prepared") throw new Error("a prompt does not fit");
  return ready;
}
