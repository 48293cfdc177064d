import type { Llama } from "node-llama-cpp";
import type { ModelKind } from "../../core/model/model-card.ts";
import type { Engine } from "./engine.ts";
import { checkSequences, LlamaChatEngine } from "./llama-chat-engine.ts";
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
 */
export async function loadLlamaEngine({
  llama,
  modelPath,
  kind,
  slots,
  contextTokens: wantedContextTokens,
  threads,
  loadSignal,
}: {
  llama: Llama;
  modelPath: string;
  kind: ModelKind;
  slots: number;
  contextTokens: number;
  threads: number;
  loadSignal?: AbortSignal;
}): Promise<Engine> {
  const model = await llama.loadModel({ modelPath, ...(loadSignal === undefined ? {} : { loadSignal }) });
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
    return new LlamaChatEngine({ context, contextTokens, chunkTokens: chunk });
  } catch (error) {
    await model.dispose();
    throw error;
  }
}
