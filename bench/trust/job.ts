import { z } from "zod";
import { answerRowSchema } from "./answer-row.ts";
import { askSchema } from "./ask.ts";
import { conditionsSchema } from "./conditions.ts";
import { trialRowSchema } from "./trial-row.ts";

/** Answers to make with one model. */
const generateJobSchema = z.strictObject({
  kind: z.literal("generate"),
  maker: z.string(),
  modelPath: z.string(),
  conditions: conditionsSchema,
  system: z.string().optional(),
  isPlain: z.boolean(),
  asks: z.array(z.strictObject({ ask: askSchema, wantsLogprobs: z.boolean() })),
});
export type GenerateJob = z.infer<typeof generateJobSchema>;

/** Claims to make from answers and to check with the honest model. */
const checkJobSchema = z.strictObject({
  kind: z.literal("check"),
  checker: conditionsSchema,
  honestPath: z.string(),
  /** Of the honest model's reading copy, where its margins are wanted too. */
  copyPath: z.string().optional(),
  encoderPath: z.string(),
  trials: z.array(
    z.strictObject({
      adversary: z.string(),
      /** What was asked, and the answer that the claim is made from. */
      ask: askSchema,
      answer: answerRowSchema,
      /** What an honest node says to the same, and with another seed; absent where nothing is compared. */
      honestText: z.string().optional(),
      otherSeedText: z.string().optional(),
      isCompared: z.boolean(),
    }),
  ),
});
export type CheckJob = z.infer<typeof checkJobSchema>;

export const jobSchema = z.discriminatedUnion("kind", [generateJobSchema, checkJobSchema]);
export type Job = z.infer<typeof jobSchema>;

/** What a worker tells: each row as it is made, and when it wants the next job. */
export const reportSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("answer"), row: answerRowSchema }),
  z.strictObject({ kind: z.literal("trial"), row: trialRowSchema }),
  /** The claim could not be made of this answer. */
  z.strictObject({ kind: z.literal("noRoom"), adversary: z.string(), promptId: z.string() }),
  z.strictObject({ kind: z.literal("done") }),
  z.strictObject({ kind: z.literal("failed"), problem: z.string() }),
]);
export type Report = z.infer<typeof reportSchema>;
