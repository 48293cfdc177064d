import { z } from "zod";
import { attemptIdSchema, modelHashSchema, nodeIdSchema, taskIdSchema } from "../ids.ts";
import { limits } from "../limits.ts";
import { decodingSchema, modelNameSchema } from "../model/model-card.ts";
import { chatInputSchema, completionInputSchema } from "../wire/task-input.ts";
import { commitmentSchema } from "./commitment.ts";

const tokenId = z.int().nonnegative();

/**
 * All that is needed to check an answer on one's own machine, for `receipt replay`: what was asked, what came, and what
 * the nodes stand by. The consumer gets it with the answer where `network.evidence` asks for it; nobody else does.
 */
export const evidenceSchema = z.strictObject({
  version: z.literal(1),
  taskId: taskIdSchema,
  /** The nodes that made the answer, in order; a node that another took over from has committed to nothing. */
  attempts: z
    .array(
      z.strictObject({
        attemptId: attemptIdSchema,
        nodeId: nodeIdSchema,
        /** Ed25519, raw, base64url: its hash is the node's id. */
        publicKey: z.string().length(43),
        /** Tokens of the prompt as this node counts them; what its signature says of it. */
        promptTokens: z.int().nonnegative(),
        /** Tokens of the answer up to this attempt's end, those of earlier attempts included. */
        answerTokens: z.int().nonnegative(),
        commitment: commitmentSchema.nullable(),
        /** As its model card has it: of `own` answers some can be checked (`is-checkable.ts`). */
        decoding: decodingSchema.optional(),
      }),
    )
    .min(1)
    .max(64),
  model: z.strictObject({ name: modelNameSchema, fileSha256: modelHashSchema }),
  /** What was asked, as nodes get it. `input.sampling.seed` is the key of the answer's draws (docs/SAMPLING.md). */
  input: z.discriminatedUnion("kind", [chatInputSchema, completionInputSchema]),
  /** The prompt as the last node read it; null where it did not tell. */
  promptIds: z.array(tokenId).max(limits.promptTokens).nullable(),
  tokenIds: z.array(tokenId).max(limits.continuedTokens),
  /** Text of the answer as its model wrote it, calls of tools included. */
  text: z.string().max(limits.promptCharacters),
  finishReason: z.enum(["stop", "length"]),
  /** The stop sequence that ended the answer; null where none did. */
  stopSequence: z.string().max(limits.stopSequenceCharacters).nullable(),
});
export type Evidence = z.infer<typeof evidenceSchema>;
