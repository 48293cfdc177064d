import { getLlama, type Llama, LlamaLogLevel } from "node-llama-cpp";

/**
 * Opens llama.cpp with the prebuilt binary for this machine; nothing is ever compiled or fetched.
 *
 * `gpu: "auto"` takes the best of CUDA, Metal and Vulkan that works, else the CPU; `false` is the CPU. `threads` bounds
 * the CPU threads of all engines of this instance together. Errors of llama.cpp go to `logError`, one line each.
 * Throws node-llama-cpp's `NoBinaryFoundError` where no binary fits.
 */
export async function openLlama({
  gpu,
  threads,
  logError = (message) => console.error(message),
}: {
  gpu: "auto" | false;
  threads: number;
  logError?: (message: string) => void;
}): Promise<Llama> {
  return getLlama({
    build: "never",
    gpu,
    maxThreads: threads,
    logLevel: LlamaLogLevel.error,
    logger: (_level, message) => logError(`llama.cpp: ${message.trim()}`),
    progressLogs: false,
  });
}
