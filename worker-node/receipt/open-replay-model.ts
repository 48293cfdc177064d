import os from "node:os";
import { AnswerText } from "../engine/answer-text.ts";
import { chooseThreads } from "../engine/choose-threads.ts";
import { loadLlamaEngine } from "../engine/llama-engine.ts";
import { openLlama } from "../engine/open-llama.ts";
import { readVocabulary } from "../engine/vocabulary.ts";
import type { ReplayModel } from "./replay-answer.ts";

export interface ReplayModelOptions {
  path: string;
  contextTokens: number;
  gpu: "auto" | false;
  threads: number | undefined;
}

/** Loads a model file to read answers again with. */
export async function openReplayModel({
  path,
  contextTokens,
  gpu,
  threads: wanted,
}: ReplayModelOptions): Promise<ReplayModel & { dispose(): Promise<void> }> {
  const cores = os.availableParallelism();
  const threads = wanted ?? chooseThreads({ cores, load: os.loadavg()[0] ?? 0, gpu: gpu !== false });
  const llama = await openLlama({ gpu, threads });
  try {
    const engine = await loadLlamaEngine({ llama, modelPath: path, kind: "chat", slots: 1, contextTokens, threads });
    const model = await llama.loadModel({ modelPath: path, vocabOnly: true });
    const vocabulary = readVocabulary(model);
    return {
      engine,
      textsOf(tokenIds) {
        const text = new AnswerText({ vocabulary, stop: [] });
        const texts = tokenIds.map((tokenId) => text.push(tokenId).text);
        const last = texts.pop();
        return last === undefined ? [] : [...texts, last + text.flush()];
      },
      async dispose() {
        await engine.dispose();
        await model.dispose();
        await llama.dispose();
      },
    };
  } catch (error) {
    await llama.dispose();
    throw error;
  }
}
