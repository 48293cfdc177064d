import { describeHardware, type Hardware } from "../engine/hardware.ts";
import { openLlama } from "../engine/open-llama.ts";
import { type LoadedModel, loadEngines } from "../load-engines.ts";
import { loadUpstreamEngines, type UpstreamAddress } from "../load-upstream-engines.ts";
import { holdModels } from "../models/hold-models.ts";

export interface ModelOptions {
  /** Names or paths; empty: all that this machine holds, or the upstream's only one. */
  models: readonly string[];
  /** Where the models run already; `undefined` loads them into this process. */
  upstream: UpstreamAddress | undefined;
  slots: number;
  contextTokens: number;
  threads: number | undefined;
  gpu: "auto" | false;
  /** Whether checks may read a copy of the weights first, where that is faster; absent is yes. */
  hasReadingCopy?: boolean;
  cacheDir: string;
  out: (line: string) => void;
}

/** What a node serves, and what it tells of itself. */
export interface LoadedModels {
  models: LoadedModel[];
  hardware: Omit<Hardware, "backend">;
  /** The software that runs the models. */
  engine: string;
  dispose(): Promise<void>;
}

/**
 * Loads the models that a node is to serve, or opens those of its upstream. Throws `ModelError`, and for an upstream
 * `UpstreamRefusedError` and `UpstreamError`.
 */
export function loadModels(options: ModelOptions): Promise<LoadedModels> {
  return options.upstream === undefined ? loadOwn(options) : openUpstreams(options, options.upstream);
}

async function loadOwn({ models: names, hasReadingCopy = true, ...options }: ModelOptions): Promise<LoadedModels> {
  const { cacheDir, out } = options;
  const terminal = process.stderr.isTTY ? process.stderr : undefined;
  const resolved = await holdModels({ names, cacheDir, out, terminal });
  const { llama, models } = await loadEngines({
    ...options,
    models: resolved,
    copiesIn: hasReadingCopy ? cacheDir : undefined,
  });
  const { backend, ...hardware } = await describeHardware(llama);
  return {
    models,
    hardware,
    engine: `llama.cpp ${backend.llamaCpp} (node-llama-cpp ${backend.nodeLlamaCpp})`,
    async dispose() {
      await disposeAll(models);
      await llama.dispose();
    },
  };
}

async function openUpstreams(options: ModelOptions, upstream: UpstreamAddress): Promise<LoadedModels> {
  const { software, models } = await loadUpstreamEngines({ ...options, ...upstream });
  // Only to name this machine's GPU.
  const llama = await openLlama({ gpu: options.gpu, threads: 1, logError: options.out });
  const { backend: _, ...hardware } = await describeHardware(llama);
  await llama.dispose();
  return { models, hardware, engine: software.slice(0, 100), dispose: () => disposeAll(models) };
}

async function disposeAll(models: readonly LoadedModel[]): Promise<void> {
  for (const { engine } of models) await engine.dispose();
}
