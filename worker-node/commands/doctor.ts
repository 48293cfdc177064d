import { statfsSync } from "node:fs";
import os from "node:os";
import type { Llama } from "node-llama-cpp";
import { chooseThreads } from "../engine/choose-threads.ts";
import { describeHardware } from "../engine/hardware.ts";
import { openLlama } from "../engine/open-llama.ts";
import { loadEngines } from "../load-engines.ts";
import { heldModels } from "../models/hold-models.ts";
import { checkOneself } from "./check-oneself.ts";

const gib = 1024 ** 3;

/** Prints what this machine can run and what is wrong, each with its mend. Exit code 0 where nothing keeps it from serving. */
export async function doctor({
  routerUrl,
  gpu,
  cacheDir,
  out,
}: {
  routerUrl: URL | undefined;
  gpu: "auto" | false;
  cacheDir: string;
  out: (line: string) => void;
}): Promise<number> {
  let isSound = true;
  const good = (text: string) => out(`ok       ${text}`);
  const warn = (text: string) => out(`warning  ${text}`);
  const bad = (text: string) => {
    isSound = false;
    out(`wrong    ${text}`);
  };

  good(`Node.js ${process.version}`);
  let llama: Llama | undefined;
  try {
    llama = await openLlama({ gpu, threads: 1, logError: warn });
    const hardware = await describeHardware(llama);
    good(`llama.cpp ${hardware.backend.llamaCpp} runs (node-llama-cpp ${hardware.backend.nodeLlamaCpp})`);
    good(`${hardware.cpuModel}, ${hardware.cores} cores, ${(hardware.memoryBytes / gib).toFixed(1)} GiB of memory`);
    if (hardware.gpu === null) {
      warn(
        gpu === false
          ? "the GPU is switched off (--gpu off)"
          : "no usable GPU: models run on the CPU. With an NVIDIA card check nvidia-smi, with another check vulkaninfo.",
      );
    } else {
      good(
        `GPU ${hardware.gpu.names.join(", ")} by ${hardware.gpu.type}, ${(hardware.gpu.vramBytes / gib).toFixed(1)} GiB`,
      );
    }
  } catch (error) {
    bad(`llama.cpp does not start: ${String(error)}. Install again with: npm install -g @cortensor-edge/worker-node`);
  }
  await llama?.dispose();

  const load = os.loadavg()[0] ?? 0;
  const cores = os.availableParallelism();
  const threads = chooseThreads({ cores, load, gpu: gpu !== false });
  good(`start would use ${threads} ${threads === 1 ? "thread" : "threads"}: ${cores} cores, load ${load.toFixed(1)}`);

  const models = await heldModels({ cacheDir });
  if (models.length === 0)
    warn("no model is held yet: start fetches a small one, or choose with: cortensor-node models list");
  for (const model of models) {
    try {
      const loaded = await loadEngines({ models: [model], gpu, slots: 1, contextTokens: 512, out: warn });
      for (const { card, engine } of loaded.models) {
        good(`${card.name} (${card.quantization}, ${card.kind}) runs at ${card.tokensPerSecond} tokens/s`);
        if (card.kind === "chat") {
          const { outcome, meanMargin, threshold } = await checkOneself(engine, card.fileSha256);
          const margin = `mean margin ${meanMargin.toFixed(4)}, at most ${threshold} is plausible`;
          if (outcome === "plausible") good(`${card.name}: others can check its answers, and it theirs (${margin})`);
          else {
            bad(
              `${card.name}: it does not find its own answer plausible (${margin}), so others will not either, and the ` +
                "router will suspend this node. Try --gpu off: where that helps it is the GPU (driver, memory, overclocking).",
            );
          }
        }
        await engine.dispose();
      }
      await loaded.llama.dispose();
    } catch (error) {
      bad(`${model.name} does not load: ${String(error)}. Check its file with: cortensor-node models verify`);
    }
  }

  const disk = statfsSync(os.homedir());
  const freeGib = (disk.bavail * disk.bsize) / gib;
  if (freeGib < 1) bad(`only ${freeGib.toFixed(1)} GiB of disk are free: model files need more. Make room.`);
  else good(`${freeGib.toFixed(0)} GiB of disk free`);

  if (routerUrl !== undefined) {
    try {
      const response = await fetch(new URL("/healthz", routerUrl), { signal: AbortSignal.timeout(10_000) });
      if (response.ok) good(`${routerUrl.host} answers`);
      else bad(`${routerUrl.host} answers ${response.status}: is that the router's address?`);
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
      bad(
        `${routerUrl.host} cannot be reached (${cause}). Check the address and that outgoing connections are allowed.`,
      );
    }
  }
  return isSound ? 0 : 1;
}
