import { z } from "zod";

/** One check of one claim: a line of `trials.jsonl`. */
export const trialRowSchema = z.strictObject({
  /** Whose claim: a name of `adversaries.ts`. */
  adversary: z.string(),
  sampling: z.enum(["T=0", "T=1", "T=0.7"]),
  promptId: z.string(),
  seed: z.int(),
  /** Under what the answer was made and checked. */
  maker: z.string(),
  checker: z.string(),
  tokens: z.int(),
  finishReason: z.enum(["stop", "length"]),
  /** As claimed, and as the checker counted. */
  promptTokens: z.int(),
  checkedPromptTokens: z.int(),
  /** Looked at, with the margin and the rank of each. */
  positions: z.array(z.int()),
  margins: z.array(z.number()),
  ranks: z.array(z.int()),
  /** Of the same positions by the copy that a node on a CPU reads first, where that was read too. */
  copyMargins: z.array(z.number()).optional(),
  isTextOfTokens: z.boolean(),
  isEndRight: z.boolean(),
  /** What cheap checks found. */
  suspicions: z.array(z.string()),
  /** Of making the claim's prompt and ids plausible or not; one reading. */
  checkMs: z.number(),
  /** With what another honest node says for the same seed, and for another one. */
  cosine: z.number().optional(),
  cosineOtherSeed: z.number().optional(),
  /** Mean log-probability of the claimed tokens at the positions, by the honest model. */
  meanLogprob: z.number().optional(),
  /** Mean distance of those to what the maker's own model says, where it tells the truth about that. */
  logprobDistance: z.number().optional(),
});
export type TrialRow = z.infer<typeof trialRowSchema>;

/** No two rows of a file have the same. */
export function trialKey(row: Pick<TrialRow, "adversary" | "sampling" | "promptId" | "seed" | "checker">): string {
  return [row.adversary, row.sampling, row.promptId, row.seed, row.checker].join("|");
}
