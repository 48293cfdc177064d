import type { Llama } from "node-llama-cpp";
import { LlamaEmbeddingEngine } from "../../worker-node/engine/llama-embedding-engine.ts";
import { openLlama } from "../../worker-node/engine/open-llama.ts";
import { promptsOf } from "./prompts.ts";

/** Room beyond what was seen, as the distance from 1; and beyond which no rounding goes. */
const safety = { usual: 10, gross: 100, least: 1e-4 } as const;

/**
 * Cosines of vectors that honest nodes make of the same texts under other conditions. The least that passes is ten
 * times as far from 1 as the furthest seen, and at least 1e-4.
 */
export async function calibrateEmbeddings({ modelPath, texts }: { modelPath: string; texts: number }): Promise<{
  trials: number;
  honestMinimum: number;
  leastCosine: number;
  grossCosine: number;
}> {
  const llama = await openLlama({ gpu: false, threads: 2 });
  const prompts = promptsOf("calibration", texts).map(({ text }, index) => text.repeat(1 + (index % 4)));
  const reference = await embedAll(llama, { modelPath, prompts, threads: 1, contextSize: 512 });
  let honestMinimum = 1;
  let trials = 0;
  for (const conditions of [
    { threads: 2, contextSize: 512 },
    { threads: 1, contextSize: 256 },
  ]) {
    const again = await embedAll(llama, { modelPath, prompts, ...conditions });
    for (const [at, vector] of again.entries()) {
      const cosine = vector.reduce((sum, value, index) => sum + value * (reference[at]?.[index] ?? 0), 0);
      honestMinimum = Math.min(honestMinimum, cosine);
      trials++;
    }
  }
  await llama.dispose();
  const distance = Math.max(safety.least, safety.usual * (1 - honestMinimum));
  const grossDistance = Math.max(distance, safety.gross * distance);
  return {
    trials,
    honestMinimum: Math.min(1, honestMinimum),
    leastCosine: rounded(1 - distance),
    grossCosine: rounded(Math.max(0, 1 - grossDistance)),
  };
}

async function embedAll(
  llama: Llama,
  {
    modelPath,
    prompts,
    threads,
    contextSize,
  }: { modelPath: string; prompts: readonly string[]; threads: number; contextSize: number },
): Promise<Float32Array[]> {
  const model = await llama.loadModel({ modelPath });
  const context = await model.createEmbeddingContext({ contextSize, batchSize: contextSize, threads });
  const engine = new LlamaEmbeddingEngine({ context, contextTokens: contextSize - 1 });
  const prepared = await engine.prepareEmbedding({ kind: "embedding", texts: [...prompts] });
  if (prepared.kind !== "prepared") throw new Error("a text does not fit");
  const vectors: Float32Array[] = [];
  await prepared.run({ onVector: (_at, vector) => void vectors.push(vector), signal: new AbortController().signal });
  await engine.dispose();
  return vectors;
}

const rounded = (value: number) => Math.floor(value * 1e5) / 1e5;
