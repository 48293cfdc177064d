import { z } from "zod";
import { modelHashSchema } from "../ids.ts";

/** The name consumers ask for: lower case, as in `smollm2-135m-instruct`. `@` is kept for `name@hash`. */
export const modelNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,95}$/, "use lower-case letters, digits, dots, dashes and underscores")
  .brand<"ModelName">();
export type ModelName = z.infer<typeof modelNameSchema>;

/** What a model file can be asked for. */
export const modelKindSchema = z.enum(["chat", "embedding"]);
export type ModelKind = z.infer<typeof modelKindSchema>;

/**
 * Who chooses an answer's tokens. `verifiable`: docs/SAMPLING.md, so that another node can check them at any temperature.
 * `own`: a server of the node's, by its own sampler, so that they can be checked at temperature 0 alone.
 */
export const decodingSchema = z.enum(["verifiable", "own"]);
export type Decoding = z.infer<typeof decodingSchema>;

/**
 * Which answers of others a node can check. `all`: what docs/SAMPLING.md chooses. `plain`: those without a bias,
 * penalties, a format and tools, by the probabilities that a server of the node's tells of a prompt.
 */
export const checksSchema = z.enum(["all", "plain", "none"]);
export type Checks = z.infer<typeof checksSchema>;

/** A model file as a node advertises it: read from the file itself, measured where it is a speed. */
export const modelCardSchema = z.strictObject({
  name: modelNameSchema,
  fileSha256: modelHashSchema,
  kind: modelKindSchema,
  /** Size of the file. */
  sizeBytes: z.int().positive(),
  /** `general.file_type` of the GGUF in llama.cpp's words, as `Q4_1`. */
  quantization: z.string().min(1).max(32),
  /** `general.architecture` of the GGUF, as `llama`. */
  architecture: z.string().min(1).max(64),
  /** The longest prompt plus answer this node serves, which may be less than the model was trained for. */
  contextTokens: z.int().positive(),
  /** Length of an embedding; absent for chat models. */
  dimensions: z.int().positive().optional(),
  /** Tasks of this model that the node runs at once. */
  slots: z.int().positive(),
  /** Decode speed of one stream measured at start; for embeddings, texts' tokens per second. */
  tokensPerSecond: z.number().nonnegative(),
  /** Of a chat model; absent means `verifiable`. */
  decoding: decodingSchema.optional(),
  /** Absent means `all` where `decoding` is `verifiable`, else `none`. */
  checks: checksSchema.optional(),
});
export type ModelCard = z.infer<typeof modelCardSchema>;
