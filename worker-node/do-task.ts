import type { CheckReport, CommitFrame, FailReason } from "../core/wire/node-frame.ts";
import type { TaskFrame } from "../core/wire/router-frame.ts";
import type { ChatInput, CheckInput, CompletionInput, EmbedInput } from "../core/wire/task-input.ts";
import { AnswerChain } from "./answer-commitment.ts";
import type { ChatPiece, ContextOverflow, Engine } from "./engine/engine.ts";

/** Who hears what comes of a task, in order. */
export interface TaskListener {
  onAck(promptTokens: number): void;
  onPiece(piece: ChatPiece): void;
  onVector(index: number, vector: Float32Array): void;
  onReport(report: CheckReport): void;
}

/** How a task went to its end. */
export interface Ending {
  finishReason: CommitFrame["finishReason"];
  stopSequence?: string | undefined;
  /** Last link of the chain of the whole answer, what it goes on after included; a check has none. */
  head?: string;
  /** Of a chat's or a completion's prompt, where the task asks for them and the engine tells. */
  promptIds?: readonly number[] | undefined;
}

/** Why nothing was run: the reason for the router and the problem for the log. */
export interface NotBegun {
  reason: FailReason;
  problem: string;
}

interface Work<Input> {
  frame: TaskFrame;
  /** The model's name, for who reads the refusal. */
  model: string;
  input: Input;
  engine: Engine;
  signal: AbortSignal;
  listener: TaskListener;
}

/**
 * Does one task on an engine. An abort of `signal` ends it as `cancelled`. Throws what the engine throws otherwise,
 * `UnsupportedTaskError` among it.
 */
export async function doTask({ input, ...work }: Work<TaskFrame["input"]>): Promise<Ending | NotBegun> {
  const { engine, model } = work;
  if ((input.kind === "embedding") !== (engine.kind === "embedding")) {
    const message = `${model} is a model for ${engine.kind}.`;
    return {
      reason: { code: "unsupported", message },
      problem: `asked to do ${input.kind} with a model for ${engine.kind}`,
    };
  }
  if (input.kind === "embedding") return embed({ ...work, input });
  if (input.kind === "check") return check({ ...work, input });
  return chat({ ...work, input });
}

async function chat(work: Work<ChatInput | CompletionInput>): Promise<Ending | NotBegun> {
  const { frame, input, engine, signal, listener } = work;
  const { continues = [], wantsPromptIds } = frame;
  const prepared = await engine.prepareChat(input, continues.length === 0 ? {} : { continues });
  if (prepared.kind === "context_overflow") return notFitting(prepared);
  listener.onAck(prepared.promptTokens);
  const chain = new AnswerChain(frame);
  chain.addTokens(continues);
  const promptIds = wantsPromptIds === true ? prepared.promptIds : undefined;
  if (signal.aborted) return { finishReason: "cancelled", head: chain.head, promptIds };
  const { finishReason, stopSequence } = await prepared.run({
    signal,
    onPiece: (piece) => {
      chain.addTokens(piece.tokenIds);
      listener.onPiece(piece);
    },
  });
  return { finishReason, stopSequence, head: chain.head, promptIds };
}

async function embed({ frame, input, engine, signal, listener }: Work<EmbedInput>): Promise<Ending | NotBegun> {
  const prepared = await engine.prepareEmbedding(input);
  if (prepared.kind === "context_overflow") return notFitting(prepared);
  listener.onAck(prepared.promptTokens);
  const chain = new AnswerChain(frame);
  if (signal.aborted) return { finishReason: "cancelled", head: chain.head };
  const onVector = (index: number, vector: Float32Array) => {
    chain.addVector(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength));
    listener.onVector(index, vector);
  };
  const done = await unlessAborted(signal, prepared.run({ signal, onVector }));
  return { finishReason: done === "aborted" ? "cancelled" : "stop", head: chain.head };
}

async function check({ input, engine, signal, listener }: Work<CheckInput>): Promise<Ending | NotBegun> {
  const prepared = await engine.prepareCheck(input);
  if (prepared.kind === "context_overflow") return notFitting(prepared);
  listener.onAck(prepared.promptTokens);
  if (signal.aborted) return { finishReason: "cancelled" };
  const report = await unlessAborted(signal, prepared.run({ signal }));
  if (report === "aborted") return { finishReason: "cancelled" };
  listener.onReport(report);
  return { finishReason: "stop" };
}

function notFitting({ promptTokens, contextTokens, inputIndex }: ContextOverflow): NotBegun {
  return {
    reason: { code: "context_length_exceeded", promptTokens, contextTokens, inputIndex },
    problem: `the prompt has ${promptTokens} tokens and the context ${contextTokens}`,
  };
}

/** What was worked out, or `aborted` where it came to nothing because the signal said so. */
async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T | "aborted"> {
  try {
    return await work;
  } catch (error) {
    if (signal.aborted) return "aborted";
    throw error;
  }
}
