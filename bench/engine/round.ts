import { z } from "zod";
import { chatMessageSchema } from "../../core/wire/task-input.ts";

/** An answer to check, every so-many-th position of it. */
const checkSchema = z.strictObject({
  messages: z.array(chatMessageSchema).min(1),
  tokenIds: z.array(z.int().nonnegative()).min(1),
  text: z.string(),
  every: z.int().positive(),
});

/** Conversations to answer, each with exactly `tokens` tokens. */
export const roundSchema = z.strictObject({
  conversations: z.array(z.array(chatMessageSchema).min(1)).max(64),
  tokens: z.int().positive(),
  /** 0 is the likeliest at every place. */
  temperature: z.number().nonnegative().default(0),
  seed: z.int().nonnegative().default(1),
  /** How many at a time; absent is all. Our engine alone knows it. */
  atOnce: z.int().positive().optional(),
  /** Begun with the first of them, of answers by the same temperature and seed. Our engine alone knows them. */
  checks: z.array(checkSchema).default([]),
});
export type Round = z.input<typeof roundSchema>;
export type RoundToRun = z.output<typeof roundSchema>;

const answeredSchema = z.strictObject({
  promptTokens: z.int().positive(),
  tokens: z.int().positive(),
  text: z.string(),
  /** Where the engine tells them. */
  tokenIds: z.array(z.int()).optional(),
  /** From the start of the round to this answer's first token. */
  firstTokenMs: z.number().positive(),
});

/** How a round went, in the order of its conversations. Times are taken where the engine runs. */
export const roundResultSchema = z.strictObject({
  answers: z.array(answeredSchema),
  /** From the start to the end of the last answer. */
  wallMs: z.number().nonnegative(),
  checks: z.array(z.strictObject({ ms: z.number(), meanMargin: z.number() })).default([]),
});
export type Answered = z.infer<typeof answeredSchema>;
export type RoundResult = z.infer<typeof roundResultSchema>;
export type RoundRun = z.input<typeof roundResultSchema>;

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
