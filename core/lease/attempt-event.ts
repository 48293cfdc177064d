import { z } from "zod";
import { commitmentSchema } from "../commitment/commitment.ts";
import { commitFrameSchema, deltaItemSchema } from "../wire/node-frame.ts";

/**
 * What a node's object tells the Worker of one attempt. Deltas are numbered by `seq` from 0 without gaps. The last
 * event is `committed` or `failed`; a telling that stops without either was cut by a reset, and the Worker attaches
 * again.
 */
export const attemptEventSchema = z.discriminatedUnion("type", [
  deltaItemSchema.omit({ attemptId: true }).extend({ type: z.literal("delta") }),
  z.strictObject({
    type: z.literal("committed"),
    finishReason: z.enum(["stop", "length"]),
    /** Unknown after a reset of the node's object, which keeps the reason alone. */
    stopSequence: z.string().optional(),
    promptTokens: z.int().nonnegative(),
    /** Of this attempt alone. */
    completionTokens: z.int().nonnegative(),
    /** What the node stands by, and the prompt as it read it where the task asks for it; unknown after a reset too. */
    commitment: commitmentSchema.optional(),
    promptIds: commitFrameSchema.shape.promptIds,
  }),
  z.strictObject({ type: z.literal("failed"), how: z.enum(["socketGone", "deadline", "refuse"]), reason: z.string() }),
]);
export type AttemptEvent = z.infer<typeof attemptEventSchema>;
export type AttemptEnd = Exclude<AttemptEvent, { type: "delta" }>;
