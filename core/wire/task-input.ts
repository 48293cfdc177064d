import { z } from "zod";
import { limits } from "../limits.ts";

/** A JSON value; how deep it may go is bounded where it enters. */
const jsonObjectSchema = z.record(z.string(), z.json());
export type JsonSchema = z.infer<typeof jsonObjectSchema>;

/** A function's name, as OpenAI bounds it. */
export const toolNameSchema = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);

/** A function that the model may call. */
export const toolSchema = z.strictObject({
  name: toolNameSchema,
  description: z.string().max(limits.promptCharacters).optional(),
  /** JSON Schema of its arguments; an object without properties where the caller gave none. */
  parameters: jsonObjectSchema,
  /** True where the arguments must fit the schema; else they are any JSON object. */
  isStrict: z.boolean(),
});
export type Tool = z.infer<typeof toolSchema>;

/** A call that an assistant's turn made. */
export const toolCallSchema = z.strictObject({
  id: z.string().min(1).max(256),
  name: toolNameSchema,
  /** JSON text, as the model wrote it. */
  arguments: z.string().max(limits.promptCharacters),
});
export type ToolCall = z.infer<typeof toolCallSchema>;

export const chatMessageSchema = z.strictObject({
  role: z.enum(["system", "user", "assistant", "tool"]),
  content: z.string().max(limits.promptCharacters),
  name: z.string().max(64).optional(),
  /** Of an assistant's turn only. */
  toolCalls: z.array(toolCallSchema).min(1).max(limits.tools).optional(),
  /** Of a tool's turn only: the call that it answers. */
  toolCallId: z.string().min(1).max(256).optional(),
});
export type ChatMessage = z.infer<typeof chatMessageSchema>;

/**
 * Whether the model calls a function: as it likes, never, at least one, or this one. Under `required` and a name it is
 * forced to, from its first token on.
 */
export const toolChoiceSchema = z.union([
  z.enum(["auto", "none", "required"]),
  z.strictObject({ name: toolNameSchema }),
]);
export type ToolChoice = z.infer<typeof toolChoiceSchema>;

/** What the answer's text must be; enforced token by token. Free white space is never allowed by `json_schema`. */
export const outputFormatSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("json_object") }),
  z.strictObject({ type: z.literal("json_schema"), schema: jsonObjectSchema }),
]);
export type OutputFormat = z.infer<typeof outputFormatSchema>;

/** How an answer is sampled; every field is already checked and defaulted by the router. */
export const samplingSchema = z.strictObject({
  /** 0 takes the likeliest token. */
  temperature: z.number().min(0).max(2),
  topP: z.number().gt(0).max(1),
  /** Only so many of the likeliest; there are never more than 64 (docs/SAMPLING.md). Absent is 64. */
  topK: z.int().positive().max(64).optional(),
  /** Only tokens at least so likely beside the likeliest, as a share of its probability. Absent is 0. */
  minP: z.number().min(0).max(1).optional(),
  /** OpenAI's penalties, −2 to 2; 0 is none. */
  frequencyPenalty: z.number().min(-2).max(2),
  presencePenalty: z.number().min(-2).max(2),
  /** 32 bits; drawn by the router where the caller gave none, so that a task can be run again. */
  seed: z.int().min(0).max(0xffff_ffff),
  /** The answer ends before the first of these. */
  stop: z.array(z.string().min(1).max(limits.stopSequenceCharacters)).max(limits.stopSequences),
  /** Upper bound of generated tokens; null means up to the context's end. */
  maxTokens: z.int().positive().nullable(),
  /** Added to these tokens' logits before everything else; an id that the model does not have is refused. */
  logitBias: z
    .array(z.tuple([z.int().nonnegative(), z.number().min(-100).max(100)]))
    .min(1)
    .max(limits.logitBias)
    .optional(),
  /** Natural logarithms of probabilities for each token, and of so many of the likeliest beside it. */
  logprobs: z.strictObject({ top: z.int().min(0).max(limits.topLogprobs) }).optional(),
});
export type Sampling = z.infer<typeof samplingSchema>;

export const chatInputSchema = z.strictObject({
  kind: z.literal("chat"),
  messages: z.array(chatMessageSchema).min(1).max(limits.messages),
  sampling: samplingSchema,
  tools: z.array(toolSchema).min(1).max(limits.tools).optional(),
  /** `auto` where it is left out and there are tools. */
  toolChoice: toolChoiceSchema.optional(),
  /** At most one call; absent means any number. */
  isSingleCall: z.literal(true).optional(),
  /** Absent means free text. */
  format: outputFormatSchema.optional(),
});
export type ChatInput = z.infer<typeof chatInputSchema>;

/** A text to go on with, as it is or as token ids, without any template. */
export const completionInputSchema = z.strictObject({
  kind: z.literal("completion"),
  prompt: z.union([
    z.string().max(limits.promptCharacters),
    z.array(z.int().nonnegative()).min(1).max(limits.promptTokens),
  ]),
  sampling: samplingSchema,
});
export type CompletionInput = z.infer<typeof completionInputSchema>;

export const embedInputSchema = z.strictObject({
  kind: z.literal("embedding"),
  /** Texts, or their token ids. */
  texts: z
    .array(
      z.union([
        z.string().min(1).max(limits.promptCharacters),
        z.array(z.int().nonnegative()).min(1).max(limits.promptTokens),
      ]),
    )
    .min(1)
    .max(limits.embeddingInputs),
});
export type EmbedInput = z.infer<typeof embedInputSchema>;

/**
 * Another node's answer to check: how plausible each of its tokens is, in one reading of prompt and answer. Who made it
 * is not told.
 */
export const checkInputSchema = z.strictObject({
  kind: z.literal("check"),
  /** What was asked. */
  of: z.discriminatedUnion("kind", [chatInputSchema, completionInputSchema]),
  /** Ids of the whole answer, in order. */
  tokenIds: z.array(z.int().nonnegative()).max(limits.continuedTokens),
  /** The text that the caller was given for them. */
  text: z.string().max(limits.promptCharacters),
  /** How the answer ended: `stop` without a stop sequence means that the model ended it. `null`: it was cut off. */
  finishReason: z.enum(["stop", "length"]).nullable(),
  stopSequence: z.string().max(limits.stopSequenceCharacters).optional(),
  /** Of the node that answered: where its answer may end by length. Absent is the checking node's own. */
  contextTokens: z.int().positive().optional(),
  /** Several nodes made it and each is judged by its own part: the model's own file must be read, and no copy first. */
  isOfSeveral: z.literal(true).optional(),
  /**
   * Positions to look at, ascending, counted from 0; the number of ids stands for the answer's end, where the model
   * ended it.
   */
  positions: z.array(z.int().nonnegative()).max(limits.continuedTokens),
});
export type CheckInput = z.infer<typeof checkInputSchema>;

/** What a node is asked to do, the same for every engine. */
export const taskInputSchema = z.discriminatedUnion("kind", [
  chatInputSchema,
  completionInputSchema,
  embedInputSchema,
  checkInputSchema,
]);
export type TaskInput = z.infer<typeof taskInputSchema>;

/** Which kinds of task there are, as they stand on record. */
export const taskKinds = ["chat", "completion", "embedding", "check"] as const;
export type TaskKind = (typeof taskKinds)[number];
