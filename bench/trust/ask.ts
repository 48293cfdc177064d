import { z } from "zod";
import type { ChatInput, CompletionInput, Sampling } from "../../core/wire/task-input.ts";

/** How answers are sampled, by the name that rows have. */
export const samplings = {
  "T=0": { temperature: 0, topP: 1 },
  "T=1": { temperature: 1, topP: 1 },
  "T=0.7": { temperature: 0.7, topP: 0.9 },
} as const;
export type SamplingName = keyof typeof samplings;
export const samplingNames = Object.keys(samplings) as SamplingName[];

/**
 * Longest answers. As many places are looked at in either; the short ones take half as long to make and to read, so
 * that there can be more of them.
 */
export const answerTokens = { long: 64, short: 32 } as const;

/** What a caller asks. */
export const askSchema = z.strictObject({
  promptId: z.string(),
  text: z.string(),
  sampling: z.enum(["T=0", "T=1", "T=0.7"]),
  seed: z.int(),
  maxTokens: z.int().positive(),
  /** An earlier turn of the conversation, with its answer. */
  earlier: z.strictObject({ text: z.string(), answer: z.string() }).optional(),
});
export type Ask = z.infer<typeof askSchema>;

/** The task that the router makes of it. */
export function inputOf(
  ask: Ask,
  { system, wantsLogprobs = false }: { system?: string; wantsLogprobs?: boolean } = {},
): ChatInput {
  const { earlier, text } = ask;
  return {
    kind: "chat",
    messages: [
      ...(system === undefined ? [] : [{ role: "system" as const, content: system }]),
      ...(earlier === undefined
        ? []
        : [
            { role: "user" as const, content: earlier.text },
            { role: "assistant" as const, content: earlier.answer },
          ]),
      { role: "user", content: text },
    ],
    sampling: { ...samplingOf(ask), ...(wantsLogprobs ? { logprobs: { top: 0 } } : {}) },
  };
}

/** The same for a model that has no template for chats. */
export function plainInputOf(ask: Ask): CompletionInput {
  return { kind: "completion", prompt: `Question: ${ask.text}\nAnswer:`, sampling: samplingOf(ask) };
}

function samplingOf({ sampling, seed, maxTokens }: Ask): Sampling {
  const plain = { frequencyPenalty: 0, presencePenalty: 0, stop: [] };
  return { ...samplings[sampling], ...plain, seed, maxTokens };
}
