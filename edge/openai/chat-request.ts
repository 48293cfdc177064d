import { z } from "zod";
import { limits } from "../../core/limits.ts";
import type { ChatInput, OutputFormat } from "../../core/wire/task-input.ts";
import { ignoredFields } from "./ignored.ts";
import { invalidValue } from "./invalid.ts";
import { messagesSchema, toMessages } from "./messages.ts";
import { type NetworkWishes, networkSchema, networkWishes } from "./network.ts";
import { parseRequest } from "./parse-request.ts";
import { samplingFields, tokenCount, toSampling } from "./sampling.ts";
import { choiceOf, jsonObject, toolChoiceSchema, toolsSchema, toTool, toToolFields } from "./tools.ts";
import { refuseUnsupported } from "./unsupported.ts";

export const jsonSchemaFormat = z.object({
  name: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, "has 1 to 64 letters, digits, underscores and hyphens"),
  description: z.string().nullish(),
  schema: jsonObject.nullish(),
  strict: z.boolean().nullish(),
});

/** OpenAI bounds what a caller may keep with an answer so. */
export const metadataSchema = z
  .record(z.string().max(64), z.string().max(512))
  .refine((metadata) => Object.keys(metadata).length <= 16, "must hold at most 16 pairs")
  .nullish();

export const chatRequestSchema = z.object({
  model: z.string().min(1),
  messages: messagesSchema,
  ...samplingFields,
  max_tokens: tokenCount,
  max_completion_tokens: tokenCount,
  logprobs: z.boolean().nullish(),
  top_logprobs: z
    .int("must be a whole number")
    .min(0, "must be at least 0")
    .max(limits.topLogprobs, `must be at most ${limits.topLogprobs}`)
    .nullish(),
  response_format: z
    .discriminatedUnion(
      "type",
      [
        z.object({ type: z.literal("text") }),
        z.object({ type: z.literal("json_object") }),
        z.object({ type: z.literal("json_schema"), json_schema: jsonSchemaFormat }),
      ],
      { error: "its type must be text, json_object or json_schema" },
    )
    .nullish(),
  tools: toolsSchema,
  tool_choice: toolChoiceSchema,
  parallel_tool_calls: z.boolean().nullish(),
  metadata: metadataSchema,
  store: z.boolean().nullish(),
  ...ignoredFields,
  network: networkSchema,
});

/** Parameters of OpenAI's that ask for what this network does not do. */
const unsupported = [
  "functions",
  "function_call",
  "audio",
  "modalities",
  "prediction",
  "web_search_options",
  "reasoning_effort",
  "verbosity",
  "moderation",
] as const;

/** Values of those that ask for nothing beyond what is done anyway. */
const neutral = {
  function_call: (value: unknown) => value === "none" || value === "auto",
  modalities: (value: unknown) => z.tuple([z.literal("text")]).safeParse(value).success,
  reasoning_effort: (value: unknown) => value === "none",
  verbosity: (value: unknown) => value === "medium",
};

/** A chat request, checked and defaulted. */
export interface ChatOrder extends NetworkWishes {
  input: ChatInput;
  /** Answers to give, each from a task of its own. */
  choices: number;
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
  const wishes = networkWishes(request);
  if (request.top_logprobs != null && request.top_logprobs > 0 && request.logprobs !== true) {
    throw invalidValue("top_logprobs", "it is only allowed where 'logprobs' is true");
  }
  const format = toFormat(request.response_format);
  return {
    ...wishes,
    choices: request.n ?? 1,
    isStream: request.stream ?? false,
    includeUsage: request.stream_options?.include_usage ?? false,
    input: {
      kind: "chat",
      messages: toMessages(request.messages),
      sampling: toSampling(request, {
        maxTokens: request.max_completion_tokens ?? request.max_tokens ?? null,
        topLogprobs: request.logprobs === true ? (request.top_logprobs ?? 0) : undefined,
      }),
      ...toToolFields(
        (request.tools ?? []).map((tool) => toTool(tool.function)),
        {
          choice: choiceOf(request.tool_choice),
          isParallel: request.parallel_tool_calls ?? true,
          pathOf: (place, field) => `tools[${place}].function.${field}`,
        },
      ),
      ...(format === undefined ? {} : { format }),
    },
  };
}

function toFormat(format: z.output<typeof chatRequestSchema>["response_format"]): OutputFormat | undefined {
  if (format == null || format.type === "text") return undefined;
  if (format.type === "json_object" || format.json_schema.schema == null) return { type: "json_object" };
  return { type: "json_schema", schema: format.json_schema.schema };
}
