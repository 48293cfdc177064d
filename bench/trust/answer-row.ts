import { z } from "zod";
import { type Ask, askSchema } from "./ask.ts";

/** An answer as one maker gave it: a line of `answers.jsonl`. */
export const answerRowSchema = z.strictObject({
  /** Who made it: a name of `makers.ts`. */
  maker: z.string(),
  ask: askSchema,
  conditions: z.string(),
  promptTokens: z.int(),
  tokenIds: z.array(z.int()),
  text: z.string(),
  finishReason: z.enum(["stop", "length"]),
  /** Of each token as its maker's model gave it, where they are compared. */
  logprobs: z.array(z.number()).optional(),
  totalMs: z.number(),
});
export type AnswerRow = z.infer<typeof answerRowSchema>;

/** No two rows of a file have the same. */
export function answerKey({ maker, ask }: { maker: string; ask: Pick<Ask, "promptId" | "sampling" | "seed"> }): string {
  return [maker, ask.sampling, ask.promptId, ask.seed].join("|");
}
