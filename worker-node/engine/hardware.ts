import os from "node:os";
import { getModuleVersion, type Llama } from "node-llama-cpp";

/** What a node runs on, as `hello` and `doctor` show it. */
export interface Hardware {
  platform: string;
  arch: string;
  cpuModel: string;
  cores: number;
  memoryBytes: number;
  /** `null` where the CPU does all the work. */
  gpu: { type: string; names: string[]; vramBytes: number } | null;
  backend: { nodeLlamaCpp: string; llamaCpp: string };
}

/** Describes the machine and the llama.cpp build that `llama` runs. Sizes are totals, not what is free. */
export async function describeHardware(llama: Llama): Promise<Hardware> {
  const cpus = os.cpus();
  return {
    platform: os.platform(),
    arch: os.arch(),
    cpuModel: cpus[0]?.model.trim() ?? "unknown",
    cores: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    gpu: await describeGpu(llama),
    backend: { nodeLlamaCpp: await getModuleVersion(), llamaCpp: llama.llamaCppRelease.release },
  };
}

async function describeGpu(llama: Llama): Promise<Hardware["gpu"]> {
  if (llama.gpu === false) return null;
  const [names, vram] = await Promise.all([llama.getGpuDeviceNames(), llama.getVramState()]);
  return { type: llama.gpu, names, vramBytes: vram.total };
}
