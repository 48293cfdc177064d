import type { Llama } from "node-llama-cpp";
import { z } from "zod";
import type { Engine } from "../../worker-node/engine/engine.ts";
import { LlamaChatEngine } from "../../worker-node/engine/llama-chat-engine.ts";

/** Under what an honest node may run a model; each changes the last bits of what the model computes. */
export const conditionsSchema = z.strictObject({
  name: z.string(),
  threads: z.union([z.literal(1), z.literal(2)]),
  /** Answers at once. */
  slots: z.union([z.literal(1), z.literal(4)]),
  /** Longest piece of a prompt in one batch. */
  chunkTokens: z.int().positive(),
  kvCache: z.enum(["F16", "Q8_0"]),
  flashAttention: z.boolean(),
  /** The conversation has an earlier turn that the slot still holds, so that only the new one is read. */
  goesOn: z.boolean(),
});
export type Conditions = z.infer<typeof conditionsSchema>;

const usual: Conditions = {
  ...{ name: "usual", threads: 1, slots: 4, chunkTokens: 128, kvCache: "F16", flashAttention: false, goesOn: false },
};
/** One thing at a time away from what a node does by itself, and all at once. */
export const allConditions = {
  usual,
  alone: { ...usual, name: "alone", slots: 1 },
  "small pieces": { ...usual, name: "small pieces", chunkTokens: 32 },
  "8-bit cache": { ...usual, name: "8-bit cache", kvCache: "Q8_0", flashAttention: true },
  "flash attention": { ...usual, name: "flash attention", flashAttention: true },
  "goes on": { ...usual, name: "goes on", goesOn: true },
  // Last: where its cores are busy with other things, two threads wait for each other for ever.
  "two threads": { ...usual, name: "two threads", threads: 2 },
} as const satisfies Record<string, Conditions>;
/** As a node on a CPU checks: a copy of the weights is read as well. */
export const copyFirst: Conditions = { ...usual, name: "copy first" };
export type ConditionsName = keyof typeof allConditions;

/** Room of each answer; prompts and answers of this bench are far shorter. */
export const contextTokens = 1_024;
/** Sequences that are kept for checks, beside the slots. */
const checkSequences = 1;

/** Loads a chat model as `loadLlamaEngine` does, under these conditions. */
export async function loadUnder(
  conditions: Conditions,
  { llama, modelPath }: { llama: Llama; modelPath: string },
): Promise<Engine> {
  const { slots, threads, kvCache, flashAttention, chunkTokens } = conditions;
  const model = await llama.loadModel({ modelPath });
  const context = await model.createContext({
    sequences: slots + checkSequences,
    contextSize: contextTokens,
    batchSize: chunkTokens + slots + checkSequences,
    threads,
    flashAttention,
    experimentalKvCacheKeyType: kvCache,
    experimentalKvCacheValueType: kvCache,
    failedCreationRemedy: false,
  });
  return new LlamaChatEngine({ context, contextTokens, chunkTokens });
}
