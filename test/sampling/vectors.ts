import { z } from "zod";
import { samplingSchema } from "../../core/wire/task-input.ts";

const id = z.int().nonnegative();

/** Of `docs/sampling-vectors.json`; docs/SAMPLING.md says what it holds. */
export const samplingVectorsSchema = z.strictObject({
  noise: z.array(z.strictObject({ seed: id, position: id, tokenId: id, words: z.tuple([id, id]), noise: z.number() })),
  answers: z.array(
    z.strictObject({
      name: z.string(),
      rules: samplingSchema.pick({
        ...{ temperature: true, topP: true, topK: true, minP: true, seed: true },
        ...{ frequencyPenalty: true, presencePenalty: true, logitBias: true },
      }),
      /** One for each position, in order; each choice counts for the penalties of those after it. */
      steps: z.array(
        z.strictObject({
          logits: z.array(z.number()),
          forbidden: z.array(id),
          choice: id,
          claims: z.array(z.strictObject({ tokenIds: z.array(id), margin: z.number(), rank: id })),
        }),
      ),
    }),
  ),
});
export type SamplingVectors = z.infer<typeof samplingVectorsSchema>;

export const vectorsFile = new URL("../../docs/sampling-vectors.json", import.meta.url);
