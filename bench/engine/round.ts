import { z } from "zod";
import { chatMessageSchema } from "../../core/wire/task-input.ts";

/** Conversations to answer all at once, each with exactly `tokens` tokens, the likeliest at every place. */
export const roundSchema = z.strictObject({
  conversations: z.array(z.array(chatMessageSchema).min(1)).min(1).max(64),
  tokens: z.int().positive(),
});
export type Round = z.infer<typeof roundSchema>;

const answeredSchema = z.strictObject({
  promptTokens: z.int().positive(),
  tokens: z.int().positive(),
  text: z.string(),
  /** From the start of the round to this answer's first token. */
  firstTokenMs: z.number().positive(),
});

/** How a round went, in the order of its conversations. Times are taken where the engine runs. */
export const roundResultSchema = z.strictObject({
  answers: z.array(answeredSchema),
  /** From the start to the end of the last answer. */
  wallMs: z.number().positive(),
});
export type Answered = z.infer<typeof answeredSchema>;
export type RoundResult = z.infer<typeof roundResultSchema>;

/** Tokens generated a second by all answers of a round together, reading the prompts included. */
export function tokensPerSecond({ answers, wallMs }: RoundResult): number {
  return (answers.reduce((sum, { tokens }) => sum + tokens, 0) * 1_000) / wallMs;
}

/** What is measured: an engine in a process of its own. */
export interface Contender {
  readonly name: string;
  /** Of the process that its engine runs in. */
  readonly pid: number;
  run(round: Round): Promise<RoundResult>;
  stop(): Promise<void>;
}
