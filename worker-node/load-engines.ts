import os from "node:os";
import type { Llama } from "node-llama-cpp";
import type { ModelCard } from "../core/model/model-card.ts";
import { type Calibration, calibrationOf } from "../core/validation/calibration.ts";
import { chooseThreads } from "./engine/choose-threads.ts";
import type { Engine } from "./engine/engine.ts";
import { loadLlamaEngine } from "./engine/llama-engine.ts";
import { openLlama } from "./engine/open-llama.ts";
import { tryThreads } from "./engine/thread-trial.ts";
import { holdReadingCopy } from "./models/hold-reading-copy.ts";
import type { ResolvedModel } from "./models/store.ts";

/** A loaded model with what the node will tell of it. */
export interface LoadedModel {
  card: ModelCard;
  engine: Engine;
}

export interface EngineOptions {
  models: readonly ResolvedModel[];
  gpu: "auto" | false;
  /** Tasks at once, per chat model; an embedding model takes as many and runs their texts one after another. */
  slots: number;
  /** Upper bound of the context; a model trained for less serves less. */
  contextTokens: number;
  /** CPU threads; chosen from the free cores where it is not given. */
  threads?: number | undefined;
  /** The cache in which copies for reading checks are kept; absent makes none. */
  copiesIn?: string | undefined;
  out: (line: string) => void;
}

/** Below this a reader waits longer than they read: a person reads about four words, some six tokens, a second. */
const slowTokensPerSecond = 6;

/**
 * Loads every model, measures each, and settles how many threads they use. Warnings go to `out`. Nothing stays loaded
 * where one of them fails.
 */
export async function loadEngines(options: EngineOptions): Promise<{ llama: Llama; models: LoadedModel[] }> {
  const { gpu, out } = options;
  const cores = os.availableParallelism();
  const chosen = options.threads ?? chooseThreads({ cores, load: os.loadavg()[0] ?? 0, gpu: gpu !== false });
  const llama = await openLlama({ gpu, threads: chosen, logError: out });
  let threads = chosen;
  const models: LoadedModel[] = [];
  try {
    for (const [at, model] of options.models.entries()) {
      const engine = await loadLlamaEngine({
        llama,
        modelPath: model.path,
        kind: model.kind,
        slots: options.slots,
        contextTokens: Math.min(options.contextTokens, model.trainedContextTokens),
        threads,
        copy: await copyOf(options.models.slice(at), { ...options, isOnCpu: llama.gpu === false }),
        logError: out,
      });
      const trial = await tryThreads({
        threads,
        setThreads: (count) => {
          llama.maxThreads = count;
        },
        measureTokensPerSecond: () => engine.measureTokensPerSecond(),
      });
      threads = trial.threads;
      if (trial.warning !== undefined) out(`warning: ${trial.warning}`);
      if (model.kind === "chat" && trial.tokensPerSecond < slowTokensPerSecond) {
        out(
          `warning: ${model.name} makes ${trial.tokensPerSecond.toFixed(1)} tokens a second here, slower than people read. ` +
            "Free some cores (each engine wants its threads' cores for itself), lower --threads, or serve a smaller model.",
        );
      }
      models.push({ engine, card: cardOf(model, engine, { slots: options.slots, trial }) });
    }
    return { llama, models };
  } catch (error) {
    for (const { engine } of models) await engine.dispose();
    await llama.dispose();
    throw error;
  }
}

/** A GPU multiplies many tokens at once in every format. What this model and those after it need is left free. */
async function copyOf(
  [model, ...later]: readonly ResolvedModel[],
  { isOnCpu, copiesIn, out }: Pick<EngineOptions, "copiesIn" | "out"> & { isOnCpu: boolean },
): Promise<{ path: string; calibration: Calibration } | undefined> {
  if (!isOnCpu || copiesIn === undefined || model?.kind !== "chat") return undefined;
  const neededBytes = [model, ...later].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const freeBytes = process.availableMemory() - neededBytes;
  const path = await holdReadingCopy(model, { cacheDir: copiesIn, out, freeBytes });
  return path === undefined ? undefined : { path, calibration: calibrationOf(model.fileSha256) };
}

function cardOf(
  model: ResolvedModel,
  engine: Engine,
  { slots, trial }: { slots: number; trial: { tokensPerSecond: number } },
): ModelCard {
  return {
    name: model.name,
    fileSha256: model.fileSha256,
    kind: model.kind,
    sizeBytes: model.sizeBytes,
    quantization: model.quantization,
    architecture: model.architecture,
    contextTokens: engine.contextTokens,
    ...(engine.dimensions === undefined ? {} : { dimensions: engine.dimensions }),
    slots,
    tokensPerSecond: Math.round(trial.tokensPerSecond * 10) / 10,
  };
}
