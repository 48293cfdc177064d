import type { Llama, LlamaModel } from "node-llama-cpp";
import type { ModelKind } from "../../core/model/model-card.ts";
import type { Calibration } from "../../core/validation/calibration.ts";
import type { Engine } from "./engine.ts";
import { checkSequences, LlamaChatEngine, type ReadingCopy } from "./llama-chat-engine.ts";
import { LlamaEmbeddingEngine } from "./llama-embedding-engine.ts";

/**
 * Longest piece of a prompt in one batch; `StepScheduler` makes it shorter where a piece takes longer than a quarter
 * second. A CPU gains little from more: SmolLM2-135M on one thread read 127 tokens a second in pieces of 128 and 135
 * in pieces of 512.
 */
const chunkTokens = { cpu: 128, gpu: 512 } as const;

/**
 * Loads a GGUF file and makes room for `slots` tasks at once, each of up to `contextTokens` tokens (fewer where the
 * model was trained for fewer). A chat model has room for a check beside them.
 *
 * `threads` are CPU threads, bounded by the `llama` instance's own. Throws what node-llama-cpp throws:
 * `InsufficientMemoryError` where model or context do not fit, and `ChatTemplateError` where a chat file's template
 * can't be read. Nothing stays loaded after an error.
 *
 * `copy` is a reading copy of the file (`models/reading-copy.ts`), which checks read first. Where it can't be loaded,
 * checks read the file itself, and `logError` is told.
 */
export async function loadLlamaEngine({
  llama,
  modelPath,
  kind,
  slots,
  contextTokens: wantedContextTokens,
  threads,
  loadSignal,
  copy,
  logError = () => {},
}: {
  llama: Llama;
  modelPath: string;
  kind: ModelKind;
  slots: number;
  contextTokens: number;
  threads: number;
  loadSignal?: AbortSignal;
  copy?: { path: string; calibration: Calibration } | undefined;
  logError?: (message: string) => void;
}): Promise<Engine> {
  const signal = loadSignal === undefined ? {} : { loadSignal };
  const model = await llama.loadModel({ modelPath, ...signal });
  let opened: ReadingCopy | undefined;
  try {
    const contextTokens = Math.min(wantedContextTokens, model.trainContextSize);
    if (kind === "embedding") {
      // The library wants one free place, and a text that isn't read in one batch gets a wrong vector.
      const size = contextTokens + 1;
      const context = await model.createEmbeddingContext({ contextSize: size, batchSize: size, threads });
      return new LlamaEmbeddingEngine({ context, contextTokens });
    }
    const chunk = llama.gpu === false ? chunkTokens.cpu : chunkTokens.gpu;
    const context = await model.createContext({
      sequences: slots + checkSequences,
      contextSize: contextTokens,
      batchSize: chunk + slots + checkSequences,
      threads,
      failedCreationRemedy: false,
    });
    const size = { contextTokens, batchSize: chunk + 1, threads };
    opened = copy && (await openCopy({ llama, ...copy, ...size, signal, logError }));
    return new LlamaChatEngine({ context, contextTokens, chunkTokens: chunk, copy: opened });
  } catch (error) {
    await opened?.context.model.dispose();
    await model.dispose();
    throw error;
  }
}

async function openCopy({
  llama,
  path,
  calibration,
  contextTokens,
  batchSize,
  threads,
  signal,
  logError,
}: {
  llama: Llama;
  path: string;
  calibration: Calibration;
  contextTokens: number;
  batchSize: number;
  threads: number;
  signal: { loadSignal?: AbortSignal };
  logError: (message: string) => void;
}): Promise<ReadingCopy | undefined> {
  let model: LlamaModel | undefined;
  try {
    model = await llama.loadModel({ modelPath: path, ...signal });
    const size = { contextSize: contextTokens, batchSize };
    const context = await model.createContext({ sequences: 1, ...size, threads, failedCreationRemedy: false });
    return { context, calibration };
  } catch (error) {
    await model?.dispose();
    signal.loadSignal?.throwIfAborted();
    const reason = error instanceof Error ? error.message : String(error);
    logError(`warning: checks read the model's own file, since its copy ${path} can't be loaded: ${reason}`);
    return undefined;
  }
}
