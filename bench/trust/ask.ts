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

/** Of every answer; the least that the goals speak of. */
export const answerTokens = 64;

/** What a caller asks. */
export const askSchema = z.strictObject({
  promptId: z.string(),
  text: z.string(),
  sampling: z.enum(["T=0", "T=1", "T=0.7"]),
  seed: z.int(),
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

function samplingOf({ sampling, seed }: Ask): Sampling {
  const plain = { frequencyPenalty: 0, presencePenalty: 0, stop: [], maxTokens: answerTokens };
  return { ...samplings[sampling], ...plain, seed };
}
