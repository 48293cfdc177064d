import { z } from "zod";
import { commitmentSchema } from "../../core/commitment/commitment.ts";
import { accountIdSchema, attemptIdSchema, nodeIdSchema, taskIdSchema } from "../../core/ids.ts";
import { decodingSchema, modelCardSchema } from "../../core/model/model-card.ts";
import { chatInputSchema, completionInputSchema, embedInputSchema } from "../../core/wire/task-input.ts";

/** An answer that is to be checked, with all that is needed for it. */
export const auditOrderSchema = z.strictObject({
  taskId: taskIdSchema,
  card: modelCardSchema,
  /** Shards of the model's pool. */
  shards: z.int().positive(),
  input: z.discriminatedUnion("kind", [chatInputSchema, completionInputSchema, embedInputSchema]),
  tokenIds: z.array(z.int().nonnegative()),
  text: z.string(),
  finishReason: z.enum(["stop", "length"]),
  stopSequence: z.string().nullable(),
  /** What the node that ended it reads, in tokens: where an answer may end by length. */
  contextTokens: z.int().positive(),
  /** Of an embedding, in the order of its texts: little-endian float32, base64. */
  vectors: z.array(z.string()),
  /** The attempts that made it, in order; the last one committed. `answerTokens` counts all tokens up to its end. */
  parts: z
    .array(
      z.strictObject({
        attemptId: attemptIdSchema,
        nodeId: nodeIdSchema,
        operator: accountIdSchema,
        publicKey: z.string(),
        promptTokens: z.int().nonnegative(),
        answerTokens: z.int().nonnegative(),
        /** Of an answer in text; absent means `verifiable`. */
        decoding: decodingSchema.optional(),
      }),
    )
    .min(1)
    .max(64),
  commitment: commitmentSchema.nullable(),
  /** The probability with which it was chosen; 1 where it was checked for another reason. */
  chosenWith: z.number().min(0).max(1),
  suspicions: z.array(z.string()).max(16),
  /** True where its caller waits for the verdict. */
  isAwaited: z.boolean(),
});
export type AuditOrder = z.infer<typeof auditOrderSchema>;
