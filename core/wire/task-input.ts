import { z } from "zod";
import { limits } from "../limits.ts";

export const chatMessageSchema = z.strictObject({
  role: z.enum(["system", "user", "assistant"]),
  content: z.string().max(limits.promptCharacters),
  name: z.string().max(64).optional(),
});
export type ChatMessage = z.infer<typeof chatMessageSchema>;

/** How an answer is sampled; every field is already checked and defaulted by the router. */
export const samplingSchema = z.strictObject({
  /** 0 takes the likeliest token. */
  temperature: z.number().min(0).max(2),
  topP: z.number().gt(0).max(1),
  /** OpenAI's penalties, −2 to 2; 0 is none. */
  frequencyPenalty: z.number().min(-2).max(2),
  presencePenalty: z.number().min(-2).max(2),
  /** 32 bits; drawn by the router where the caller gave none, so that a task can be run again. */
  seed: z.int().min(0).max(0xffff_ffff),
  /** The answer ends before the first of these. */
  stop: z.array(z.string().min(1).max(limits.stopSequenceCharacters)).max(limits.stopSequences),
  /** Upper bound of generated tokens; null means up to the context's end. */
  maxTokens: z.int().positive().nullable(),
});
export type Sampling = z.infer<typeof samplingSchema>;

export const chatInputSchema = z.strictObject({
  kind: z.literal("chat"),
  messages: z.array(chatMessageSchema).min(1).max(limits.messages),
  sampling: samplingSchema,
});
export type ChatInput = z.infer<typeof chatInputSchema>;

export const embedInputSchema = z.strictObject({
  kind: z.literal("embedding"),
  texts: z.array(z.string().min(1).max(limits.promptCharacters)).min(1).max(limits.embeddingInputs),
});
export type EmbedInput = z.infer<typeof embedInputSchema>;

/** What a node is asked to do, the same for every engine. */
export const taskInputSchema = z.discriminatedUnion("kind", [chatInputSchema, embedInputSchema]);
export type TaskInput = z.infer<typeof taskInputSchema>;
