import { z } from "zod";

const tokenId = z.int().nonnegative();
const tokenProbability = z.object({ id: tokenId, bytes: z.array(z.int().min(0).max(255)), logprob: z.number() });

/** A token of `/completion` with `n_probs`. */
export const probabilitySchema = tokenProbability.extend({ top_logprobs: z.array(tokenProbability) });
export type Probability = z.infer<typeof probabilitySchema>;

/** An answer of `/completion`, whole or an event of its stream; the last event has `stop` and how it ended. */
export const completionSchema = z.object({
  content: z.string(),
  tokens: z.array(tokenId),
  stop: z.boolean(),
  /** All tokens generated so far for this request, the one that ends it and those never sent included. */
  tokens_predicted: z.int().nonnegative(),
  stop_type: z.enum(["none", "eos", "limit", "word"]).optional(),
  completion_probabilities: z.array(probabilitySchema).optional(),
});
export type Completion = z.infer<typeof completionSchema>;

/** In a stream an error is an event of its own. */
export const completionEventSchema = z.union([
  completionSchema,
  z.object({ error: z.object({ message: z.string() }) }),
]);

export const propsSchema = z.object({
  default_generation_settings: z.object({ n_ctx: z.int().positive() }),
  total_slots: z.int().positive(),
  build_info: z.string().optional(),
  chat_template: z.string().optional(),
});
export type Props = z.infer<typeof propsSchema>;

/** What `/v1/models` says of the loaded file. */
export const modelMetaSchema = z.object({
  vocab_type: z.int().optional(),
  n_vocab: z.int().positive(),
  n_ctx_train: z.int().positive(),
  n_embd: z.int().positive(),
  n_params: z.number().positive(),
  size: z.number().positive(),
});
export type ModelMeta = z.infer<typeof modelMetaSchema>;

export const templateSchema = z.object({ prompt: z.string() });
export const tokensSchema = z.object({ tokens: z.array(tokenId) });
export const contentSchema = z.object({ content: z.string() });
