import { statSync } from "node:fs";
import type { Llama, LlamaModel } from "node-llama-cpp";
import { z } from "zod";
import type { Candidate } from "../../../core/decoding/ranked-candidates.ts";
import type { JsonSchema, Sampling } from "../../../core/wire/task-input.ts";
import { compileChatTemplate } from "../chat-template.ts";
import type { ChatPiece, Engine } from "../engine.ts";
import { schemaGrammar } from "../grammar/schema-grammar.ts";
import { loadLlamaEngine } from "../llama-engine.ts";
import { LogitsReader } from "../read-logits.fixture.ts";
import { readVocabulary, type Vocabulary } from "../vocabulary.ts";
import { probeSchema } from "./probe-features.ts";

const messagesSchema = z.array(z.object({ role: z.enum(["system", "user", "assistant"]), content: z.string() }));
type Messages = z.infer<typeof messagesSchema>;

/** An answer to make, in the words of either server. */
export interface Generation {
  tokenIds: readonly number[];
  sampling: Sampling;
  grammar: string | undefined;
  /** Whether penalties count the prompt. */
  penalizesPrompt: boolean;
  onPiece: (piece: ChatPiece) => void;
  signal: AbortSignal;
}

/** A real tiny model with what a server does with it: tokenize, render, generate from ids, embed. */
export class UpstreamModel {
  readonly engine: Engine;
  readonly vocabulary: Vocabulary;
  readonly model: LlamaModel;
  readonly sizeBytes: number;
  readonly #reader: LogitsReader | undefined;
  readonly #schemas: ReadonlyMap<string, JsonSchema>;
  /** The engine holds only chats to a grammar, so the conversation that ids were made of is kept. */
  readonly #conversations = new Map<string, Messages>();

  private constructor(options: {
    engine: Engine;
    model: LlamaModel;
    sizeBytes: number;
    schemas: readonly JsonSchema[];
    reader: LogitsReader | undefined;
  }) {
    this.#reader = options.reader;
    this.sizeBytes = options.sizeBytes;
    this.engine = options.engine;
    this.model = options.model;
    this.vocabulary = readVocabulary(options.model);
    this.#schemas = new Map([probeSchema, ...options.schemas].map((schema) => [schemaGrammar(schema), schema]));
  }

  /** `schemas` are those whose grammars will be asked for. */
  static async load({
    llama,
    modelPath,
    kind,
    slots,
    contextTokens,
    schemas = [],
  }: {
    llama: Llama;
    modelPath: string;
    kind: "chat" | "embedding";
    slots: number;
    contextTokens: number;
    schemas?: readonly JsonSchema[];
  }): Promise<UpstreamModel> {
    const engine = await loadLlamaEngine({ llama, modelPath, kind, slots, contextTokens, threads: 1 });
    const model = await llama.loadModel({ modelPath, vocabOnly: true });
    const reader = kind === "chat" ? await LogitsReader.open(llama, { modelPath, contextTokens }) : undefined;
    return new UpstreamModel({ engine, model, sizeBytes: statSync(modelPath).size, schemas, reader });
  }

  async dispose(): Promise<void> {
    await this.engine.dispose();
    await this.model.dispose();
    await this.#reader?.dispose();
  }

  get vocabularyTokens(): number {
    return [...this.model.iterateAllTokens()].length;
  }

  /** The id that ends an answer. */
  get endId(): number {
    return this.model.tokens.eos ?? 0;
  }

  render(given: unknown): string {
    const messages = messagesSchema.parse(given);
    const source = this.vocabulary.chatTemplate ?? "";
    const text = compileChatTemplate({ source, bosText: "", eosText: "" }).render({ messages });
    this.#conversations.set(this.tokenize(text).join(), messages);
    return text;
  }

  tokenize(text: string): number[] {
    const tokens = this.model.tokenize(text, true);
    const { bos, eos, sep, shouldPrependBosToken } = this.model.tokens;
    if (this.engine.kind === "chat") {
      return shouldPrependBosToken && bos !== null ? [bos, ...tokens] : tokens;
    }
    return [bos, ...tokens, sep ?? eos].filter((token) => token !== null);
  }

  detokenize(tokenIds: readonly number[]): string {
    return new TextDecoder().decode(Buffer.concat(tokenIds.map((id) => this.vocabulary.bytesOf(id))));
  }

  /** Resolves with how it ended. Throws as the engine does, `UnknownTokenError` for an id that is none. */
  async generate({
    tokenIds,
    sampling,
    grammar,
    penalizesPrompt,
    onPiece,
    signal,
  }: Generation): Promise<"eos" | "limit"> {
    const [first = 0, ...after] = tokenIds;
    // What is continued counts for penalties, as llama-server's prompts do.
    const counted = penalizesPrompt && grammar === undefined ? after : [];
    const prompt = counted.length === 0 ? [...tokenIds] : [first];
    const bounded = { ...sampling, maxTokens: (sampling.maxTokens ?? this.engine.contextTokens) + counted.length };
    const prepared =
      grammar === undefined
        ? await this.engine.prepareChat({ kind: "completion", prompt, sampling: bounded }, { continues: counted })
        : await this.engine.prepareChat(this.#chatOf(grammar, { tokenIds, sampling: bounded }));
    if (prepared.kind !== "prepared") throw new Error("the prompt does not fit");
    const { finishReason } = await prepared.run({ onPiece, signal });
    return finishReason === "stop" ? "eos" : "limit";
  }

  #chatOf(grammar: string, { tokenIds, sampling }: { tokenIds: readonly number[]; sampling: Sampling }) {
    const schema = this.#schemas.get(grammar);
    const messages = this.#conversations.get(tokenIds.join());
    if (schema === undefined || messages === undefined) throw new Error("a grammar that this server was not told of");
    return { kind: "chat" as const, messages, sampling, format: { type: "json_schema" as const, schema } };
  }

  /** For each id, the log-probabilities of all tokens in its place, likeliest first; none for the first. */
  async readPrompt(tokenIds: readonly number[]): Promise<(readonly Candidate[] | undefined)[]> {
    const after = (await this.#reader?.read(tokenIds)) ?? [];
    return [undefined, ...after.slice(0, -1)];
  }

  async embed(inputs: readonly (string | number[])[]): Promise<number[][]> {
    const texts = inputs.map((input) => (typeof input === "string" ? this.tokenize(input) : input));
    const prepared = await this.engine.prepareEmbedding({ kind: "embedding", texts });
    if (prepared.kind !== "prepared")
      throw new Error("input is too large to process. increase the physical batch size");
    const vectors: number[][] = [];
    const { signal } = new AbortController();
    await prepared.run({ signal, onVector: (_index, vector) => vectors.push([...vector]) });
    return vectors;
  }
}
