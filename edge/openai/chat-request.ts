import { z } from "zod";
import { limits } from "../../core/limits.ts";
import { Refusal } from "../../core/refusal.ts";
import type { ChatInput, ChatMessage } from "../../core/wire/task-input.ts";
import { parseRequest } from "./parse-request.ts";
import { refuseUnsupported } from "./unsupported.ts";

const textPartSchema = z.object({
  type: z.literal("text", { error: "only text parts are supported" }),
  text: z.string(),
});

const messageSchema = z.object({
  role: z.enum(["system", "developer", "user", "assistant"], {
    error: "use system, developer, user or assistant; tool messages are not supported yet",
  }),
  content: z.union([z.string(), z.array(textPartSchema).min(1)], { error: "must be a string or a list of text parts" }),
  name: z.string().max(64).nullish(),
});

const stopSchema = z
  .union([z.string(), z.array(z.string()).max(limits.stopSequences)], {
    error: `must be a text or a list of at most ${limits.stopSequences} texts`,
  })
  .nullish();

const tokenCount = z.int("must be a whole number").min(1, "must be at least 1").nullish();
const penalty = z.number().min(-2, "must be at least -2").max(2, "must be at most 2").nullish();

const chatRequestSchema = z.object({
  model: z.string().min(1),
  messages: z
    .array(messageSchema)
    .min(1, "must hold at least one message")
    .max(limits.messages, `must hold at most ${limits.messages} messages`),
  temperature: z.number().min(0, "must be at least 0").max(2, "must be at most 2").nullish(),
  top_p: z.number().min(0, "must be at least 0").max(1, "must be at most 1").nullish(),
  max_tokens: tokenCount,
  max_completion_tokens: tokenCount,
  frequency_penalty: penalty,
  presence_penalty: penalty,
  seed: z.int("must be a whole number").nullish(),
  stop: stopSchema,
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
});

/** Parameters of OpenAI's that ask for what this network does not do yet. */
const unsupported = [
  "n",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "functions",
  "function_call",
  "response_format",
  "logprobs",
  "top_logprobs",
  "logit_bias",
  "audio",
  "modalities",
  "prediction",
  "web_search_options",
  "network",
] as const;

/** Values of those that ask for nothing beyond what is done anyway. */
const neutral = {
  n: (value: unknown) => value === 1,
  top_logprobs: (value: unknown) => value === 0,
  tool_choice: (value: unknown) => value === "none" || value === "auto",
  parallel_tool_calls: (value: unknown) => value === true,
  function_call: (value: unknown) => value === "none" || value === "auto",
  response_format: (value: unknown) => z.object({ type: z.literal("text") }).safeParse(value).success,
  modalities: (value: unknown) => z.tuple([z.literal("text")]).safeParse(value).success,
};

/** A chat request, checked and defaulted. */
export interface ChatOrder {
  model: string;
  input: ChatInput;
  isStream: boolean;
  /** A last chunk with the counts (`stream_options.include_usage`). */
  includeUsage: boolean;
}

/**
 * The order of a `POST /v1/chat/completions` body (OpenAI API reference, Create chat completion). Refuses by name what
 * is wrong and what is not supported; ignores what OpenAI ignores.
 */
export function parseChatRequest(body: unknown): ChatOrder {
  const request = parseRequest(chatRequestSchema, body);
  if (typeof body === "object" && body !== null) refuseUnsupported(body, unsupported, neutral);
  const messages = request.messages.map(toMessage);
  const characters = messages.reduce((sum, message) => sum + message.content.length, 0);
  if (characters > limits.promptCharacters) {
    throw new Refusal({
      code: "prompt_too_large",
      param: "messages",
      message: `The messages have ${characters} characters and the limit is ${limits.promptCharacters}. Shorten them.`,
    });
  }
  return {
    model: request.model,
    isStream: request.stream ?? false,
    includeUsage: request.stream_options?.include_usage ?? false,
    input: {
      kind: "chat",
      messages,
      sampling: {
        temperature: request.temperature ?? 1,
        // 0 means the single likeliest token, which the smallest positive share also gives.
        topP: Math.max(request.top_p ?? 1, Number.EPSILON),
        frequencyPenalty: request.frequency_penalty ?? 0,
        presencePenalty: request.presence_penalty ?? 0,
        seed: (request.seed ?? randomSeed()) >>> 0,
        stop: stopSequences(request.stop),
        maxTokens: request.max_completion_tokens ?? request.max_tokens ?? null,
      },
    },
  };
}

function toMessage({ role, content, name }: z.output<typeof messageSchema>): ChatMessage {
  return {
    role: role === "developer" ? "system" : role,
    content: typeof content === "string" ? content : content.map((part) => part.text).join(""),
    ...(name == null ? {} : { name }),
  };
}

function stopSequences(stop: string | string[] | null | undefined): string[] {
  const sequences = (typeof stop === "string" ? [stop] : (stop ?? [])).filter((sequence) => sequence !== "");
  const long = sequences.findIndex((sequence) => sequence.length > limits.stopSequenceCharacters);
  if (long >= 0) {
    throw new Refusal({
      code: "invalid_value",
      param: "stop",
      message: `Invalid value for 'stop': a sequence has at most ${limits.stopSequenceCharacters} characters.`,
    });
  }
  return sequences;
}

function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}
