import { BenchProcess } from "../bench-process.ts";
import { readReady } from "../ready-line.ts";
import { type Contender, roundResultSchema } from "./round.ts";
import type { EngineSetup } from "./serve-rounds.ts";

/** Loading a model of some hundred MB from a cold disk. */
const loadWithinMs = 120_000;

/** Starts one of this bench's engine scripts (`bench/engine/*-engine.ts`) and resolves once its model is loaded. */
export async function startEngineProcess({
  name,
  script,
  setup,
  folder,
}: {
  name: string;
  script: string;
  setup: EngineSetup;
  folder: string;
}): Promise<Contender> {
  const { modelPath, slots, contextTokens, copy } = setup;
  const engine = new BenchProcess({
    name: script.replace(/^.*\/|\.ts$/g, ""),
    script,
    flags: [
      ...["--model-path", modelPath, "--slots", String(slots), "--context", String(contextTokens)],
      ...(copy === undefined ? [] : ["--copy", copy.path, "--model-hash", copy.model]),
    ],
    folder,
  });
  const { port } = await engine.lineWhere(readReady, { withinMs: loadWithinMs });
  return {
    name,
    pid: engine.pid,
    run: async (round) => {
      const response = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: JSON.stringify(round) });
      if (!response.ok) throw new Error(`${name}: ${await response.text()}`);
      return roundResultSchema.parse(await response.json());
    },
    stop: () => engine.stop(),
  };
}
