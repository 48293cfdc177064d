import { z } from "zod";
import { limits } from "../../core/limits.ts";
import { Refusal } from "../../core/refusal.ts";
import type { ChatInput, ChatMessage, OutputFormat, Sampling } from "../../core/wire/task-input.ts";
import { metadataSchema } from "../openai/chat-request.ts";
import { ignoredFields } from "../openai/ignored.ts";
import { invalidValue } from "../openai/invalid.ts";
import { charactersOf } from "../openai/messages.ts";
import { type NetworkWishes, networkSchema, networkWishes } from "../openai/network.ts";
import { parseRequest } from "../openai/parse-request.ts";
import { randomSeed, temperatureSchema, tokenCount, topPSchema } from "../openai/sampling.ts";
import {
  type ChoiceOfTools,
  functionSchema,
  jsonObject,
  type ToolFields,
  toTool,
  toToolFields,
} from "../openai/tools.ts";
import { refuseUnsupported } from "../openai/unsupported.ts";
import { type InputItem, inputSchema, itemsOf } from "./response-items.ts";

const namedTool = z.object({ type: z.literal("function"), name: z.string() });

export const responseRequestSchema = z.object({
  model: z.string().min(1),
  input: inputSchema,
  instructions: z.string().max(limits.promptCharacters).nullish(),
  previous_response_id: z.string().max(128).nullish(),
  max_output_tokens: tokenCount,
  temperature: temperatureSchema,
  top_p: topPSchema,
  top_logprobs: z
    .int("must be a whole number")
    .min(0, "must be at least 0")
    .max(limits.topLogprobs, `must be at most ${limits.topLogprobs}`)
    .nullish(),
  include: z.array(z.string().max(128)).max(32).nullish(),
  text: z
    .object({
      format: z
        .discriminatedUnion(
          "type",
          [
            z.object({ type: z.literal("text") }),
            z.object({ type: z.literal("json_object") }),
            z.object({
              type: z.literal("json_schema"),
              name: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, "has 1 to 64 letters, digits, underscores and hyphens"),
              description: z.string().nullish(),
              schema: jsonObject,
              strict: z.boolean().nullish(),
            }),
          ],
          { error: "its type must be text, json_object or json_schema" },
        )
        .nullish(),
      verbosity: z.literal("medium", { error: "only medium is supported" }).nullish(),
    })
    .nullish(),
  tools: z
    .array(functionSchema.extend({ type: z.literal("function", { error: "only functions are supported" }) }))
    .max(limits.tools, `must hold at most ${limits.tools} tools`)
    .nullish(),
  tool_choice: z
    .union(
      [
        z.enum(["none", "auto", "required"]),
        namedTool,
        z.object({
          type: z.literal("allowed_tools"),
          mode: z.enum(["auto", "required"]),
          tools: z.array(namedTool).min(1),
        }),
      ],
      { error: "must be none, auto, required, a function's name as an object, or allowed_tools" },
    )
    .nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  stream: z.boolean().nullish(),
  store: z.boolean().nullish(),
  background: z.boolean().nullish(),
  metadata: metadataSchema,
  user: z.string().nullish(),
  stream_options: z.object({ include_obfuscation: z.boolean().nullish() }).nullish(),
  /** Of tools that the vendor runs itself, of which there are none here. */
  max_tool_calls: z.int("must be a whole number").min(1, "must be at least 1").nullish(),
  ...ignoredFields,
  network: networkSchema,
});
type ResponseRequest = z.output<typeof responseRequestSchema>;

/** Parameters of OpenAI's that ask for what this network does not do. */
const unsupported = ["conversation", "prompt", "reasoning", "truncation", "context_management", "moderation"] as const;

/** Values of those that ask for nothing beyond what is done anyway. */
const neutral = {
  truncation: (value: unknown) => value === "disabled",
  reasoning: (value: unknown) =>
    z.object({ effort: z.literal("none").nullish(), summary: z.null().optional() }).safeParse(value).success,
};

/** A response request, checked and defaulted; the turns before it are still to be looked up. */
export interface ResponseOrder extends NetworkWishes {
  items: InputItem[];
  instructions: string | null;
  previousResponseId: string | null;
  sampling: Sampling;
  tools: ToolFields;
  format: OutputFormat | undefined;
  isStream: boolean;
  isStored: boolean;
  isBackground: boolean;
  /** What the response says of its request, in OpenAI's words. */
  echo: Readonly<Record<string, unknown>>;
}

/** The order of a `POST /v1/responses` body (OpenAI API reference, Create a model response). Refuses by name as elsewhere. */
export function parseResponseRequest(body: unknown): ResponseOrder {
  const request = parseRequest(responseRequestSchema, body);
  if (typeof body === "object" && body !== null) refuseUnsupported(body, unsupported, neutral);
  const wishes = networkWishes(request);
  const isBackground = request.background ?? false;
  const isStored = request.store ?? true;
  if (isBackground && request.stream === true) {
    throw invalidValue("stream", "a background response is not streamed: retrieve it until its status is final");
  }
  if (isBackground && !isStored) throw invalidValue("store", "a background response is stored");
  const asksLogprobs = request.include?.includes("message.output_text.logprobs") === true;
  return {
    ...wishes,
    items: itemsOf(request.input),
    instructions: request.instructions ?? null,
    previousResponseId: request.previous_response_id ?? null,
    sampling: {
      temperature: request.temperature ?? 1,
      topP: Math.max(request.top_p ?? 1, Number.EPSILON),
      ...{ frequencyPenalty: 0, presencePenalty: 0, seed: randomSeed(), stop: [] },
      maxTokens: request.max_output_tokens ?? null,
      ...(asksLogprobs ? { logprobs: { top: request.top_logprobs ?? 0 } } : {}),
    },
    tools: toToolFields((request.tools ?? []).map(toTool), {
      choice: choiceOf(request.tool_choice),
      isParallel: request.parallel_tool_calls ?? true,
      pathOf: (place, field) => `tools[${place}].${field}`,
    }),
    format: toFormat(request),
    isStream: request.stream ?? false,
    isStored,
    isBackground,
    echo: echoOf(request),
  };
}

/** The task of an order whose items all say themselves what they are, after the turns of an earlier response. */
export function inputOf(
  { sampling, tools, format, instructions }: ResponseOrder,
  turns: readonly ChatMessage[],
): ChatInput {
  const instructed: ChatMessage[] = instructions === null ? [] : [{ role: "system", content: instructions }];
  const messages = [...instructed, ...turns];
  if (messages.length === 0) throw invalidValue("input", "must hold at least one item");
  if (messages.length > limits.messages) throw tooLarge(`${messages.length} turns`);
  const characters = charactersOf(messages);
  if (characters > limits.promptCharacters) throw tooLarge(`${characters} characters`);
  return { kind: "chat", messages, sampling, ...tools, ...(format === undefined ? {} : { format }) };
}

function choiceOf(choice: ResponseRequest["tool_choice"]): ChoiceOfTools {
  if (choice == null) return { mode: "auto" };
  if (typeof choice === "string") return { mode: choice };
  if (choice.type === "function") return { mode: "named", name: choice.name };
  return { mode: choice.mode, only: choice.tools.map((tool) => tool.name) };
}

function toFormat({ text }: ResponseRequest): OutputFormat | undefined {
  const format = text?.format;
  if (format == null || format.type === "text") return undefined;
  return format.type === "json_object" ? { type: "json_object" } : { type: "json_schema", schema: format.schema };
}

function echoOf(request: ResponseRequest): ResponseOrder["echo"] {
  return {
    instructions: request.instructions ?? null,
    max_output_tokens: request.max_output_tokens ?? null,
    max_tool_calls: null,
    metadata: request.metadata ?? {},
    parallel_tool_calls: request.parallel_tool_calls ?? true,
    previous_response_id: request.previous_response_id ?? null,
    reasoning: { effort: null, summary: null },
    service_tier: "default",
    store: request.store ?? true,
    background: request.background ?? false,
    temperature: request.temperature ?? 1,
    text: { format: request.text?.format ?? { type: "text" } },
    tool_choice: request.tool_choice ?? "auto",
    tools: (request.tools ?? []).map((tool) => ({
      ...tool,
      description: tool.description ?? null,
      parameters: tool.parameters ?? { type: "object", properties: {} },
      strict: tool.strict ?? false,
    })),
    top_logprobs: request.top_logprobs ?? 0,
    top_p: request.top_p ?? 1,
    truncation: "disabled",
    ...(request.user == null ? {} : { user: request.user }),
  };
}

function tooLarge(size: string): Refusal {
  return new Refusal({
    code: "prompt_too_large",
    param: "input",
    message: `The conversation has ${size}, and at most ${limits.messages} turns and ${limits.promptCharacters} characters are read. Begin a new one, or send less.`,
  });
}
