import { z } from "zod";
import { limits } from "../../core/limits.ts";
import { Refusal } from "../../core/refusal.ts";
import { type ChatInput, type ChatMessage, type Tool, toolNameSchema } from "../../core/wire/task-input.ts";
import { invalidValue } from "../openai/invalid.ts";
import { charactersOf } from "../openai/messages.ts";
import { type NetworkWishes, networkSchema, networkWishes } from "../openai/network.ts";
import { parseRequest } from "../openai/parse-request.ts";
import { randomSeed, stopSequences, topKSchema, topPSchema, toTopK } from "../openai/sampling.ts";
import { type ChoiceOfTools, jsonObject, toTool, toToolFields } from "../openai/tools.ts";
import { refuseUnsupported } from "../openai/unsupported.ts";

const textBlock = z.object({ type: z.literal("text"), text: z.string() });
const onlyText = { error: "only text blocks are supported" };
const textOrBlocks = z.union([z.string(), z.array(textBlock)], onlyText);

const userBlock = z.discriminatedUnion(
  "type",
  [
    textBlock,
    z.object({
      type: z.literal("tool_result"),
      tool_use_id: z.string().min(1).max(256),
      content: textOrBlocks.nullish(),
      is_error: z.boolean().nullish(),
    }),
  ],
  { error: "only text and tool_result blocks are supported" },
);
const assistantBlock = z.discriminatedUnion(
  "type",
  [
    textBlock,
    z.object({
      type: z.literal("tool_use"),
      id: z.string().min(1).max(256),
      name: toolNameSchema,
      input: jsonObject,
    }),
    z.object({ type: z.literal("thinking") }),
    z.object({ type: z.literal("redacted_thinking") }),
  ],
  { error: "only text, tool_use and thinking blocks are supported" },
);

const messageSchema = z.discriminatedUnion(
  "role",
  [
    z.object({ role: z.literal("user"), content: z.union([z.string(), z.array(userBlock).min(1)]) }),
    z.object({ role: z.literal("assistant"), content: z.union([z.string(), z.array(assistantBlock).min(1)]) }),
  ],
  { error: "use user or assistant" },
);
type Message = z.output<typeof messageSchema>;

const isParallel = { disable_parallel_tool_use: z.boolean().nullish() };

export const countRequestSchema = z.object({
  model: z.string().min(1),
  messages: z
    .array(messageSchema)
    .min(1, "must hold at least one message")
    .max(limits.messages, `must hold at most ${limits.messages} messages`),
  system: textOrBlocks.nullish(),
  tools: z
    .array(
      z.object({
        type: z.literal("custom", { error: "only tools of your own are supported" }).nullish(),
        name: toolNameSchema,
        description: z.string().max(limits.promptCharacters).nullish(),
        input_schema: jsonObject,
        strict: z.boolean().nullish(),
      }),
    )
    .max(limits.tools, `must hold at most ${limits.tools} tools`)
    .nullish(),
  tool_choice: z
    .discriminatedUnion(
      "type",
      [
        z.object({ type: z.literal("auto"), ...isParallel }),
        z.object({ type: z.literal("any"), ...isParallel }),
        z.object({ type: z.literal("tool"), name: z.string(), ...isParallel }),
        z.object({ type: z.literal("none") }),
      ],
      { error: "its type must be auto, any, tool or none" },
    )
    .nullish(),
  output_config: z
    .object({
      format: z.object({ type: z.literal("json_schema"), schema: jsonObject }).nullish(),
      effort: z.enum(["low", "medium", "high", "xhigh", "max"]).nullish(),
    })
    .nullish(),
  /** A cache's marks, which change no answer. */
  cache_control: z.object({ type: z.literal("ephemeral"), ttl: z.enum(["5m", "1h"]).nullish() }).nullish(),
  network: networkSchema,
});

export const messageRequestSchema = countRequestSchema.extend({
  max_tokens: z.int("must be a whole number").min(1, "must be at least 1"),
  temperature: z.number().min(0, "must be at least 0").max(1, "must be at most 1").nullish(),
  top_p: topPSchema,
  top_k: topKSchema,
  stop_sequences: z.array(z.string()).max(limits.stopSequences).nullish(),
  stream: z.boolean().nullish(),
  metadata: z.object({ user_id: z.string().max(512).nullish() }).nullish(),
  service_tier: z.enum(["auto", "standard_only"]).nullish(),
});

/** Parameters of Anthropic's that ask for what this network does not do. */
const unsupported = [
  ...["thinking", "container", "mcp_servers", "context_management", "inference_geo", "speed"],
  // What `output_config.format` was called in its beta.
  "output_format",
];
const neutral = {
  thinking: (value: unknown) => z.object({ type: z.literal("disabled") }).safeParse(value).success,
};

/** A message request, checked and defaulted. */
export interface MessageOrder extends NetworkWishes {
  input: ChatInput;
  isStream: boolean;
}

/** The order of a `POST /v1/messages` body (Anthropic API reference, Create a Message). Refuses by name as elsewhere. */
export function parseMessageRequest(body: unknown): MessageOrder {
  const request = parseRequest(messageRequestSchema, body);
  return {
    ...wishesOf(body, request),
    isStream: request.stream ?? false,
    input: inputOf(request, {
      maxTokens: request.max_tokens,
      temperature: request.temperature ?? 1,
      topP: request.top_p ?? 1,
      ...toTopK(request.top_k),
      stop: stopSequences(request.stop_sequences, "stop_sequences"),
    }),
  };
}

/** The order of a `POST /v1/messages/count_tokens` body: as if one token of an answer were asked for. */
export function parseCountRequest(body: unknown): MessageOrder {
  const request = parseRequest(countRequestSchema, body);
  const wishes = wishesOf(body, request);
  const input = inputOf(request, { maxTokens: 1, temperature: 0, topP: 1, stop: [] });
  return { ...wishes, isStream: false, input };
}

function wishesOf(body: unknown, request: z.output<typeof countRequestSchema>): NetworkWishes {
  if (typeof body === "object" && body !== null) refuseUnsupported(body, unsupported, neutral);
  const effort = request.output_config?.effort ?? "high";
  // Anthropic's own default asks for nothing.
  if (effort !== "high") {
    throw new Refusal({
      code: "unsupported_parameter",
      param: "output_config.effort",
      message: `The effort '${effort}' is not supported here, and nothing was run. Leave it out.`,
    });
  }
  return networkWishes(request);
}

function inputOf(
  request: z.output<typeof countRequestSchema>,
  sampling: { maxTokens: number; temperature: number; topP: number; topK?: number; stop: string[] },
): ChatInput {
  const system = request.system == null ? "" : textOf(request.system);
  const messages: ChatMessage[] = system === "" ? [] : [{ role: "system", content: system }];
  for (const message of request.messages) messages.push(...turnsOf(message));
  if (messages.length > limits.messages) throw tooLong(`more than ${limits.messages} turns`);
  const characters = charactersOf(messages);
  if (characters > limits.promptCharacters) throw tooLong(`${characters} characters`);
  refuseLooseResults(messages);
  const schema = request.output_config?.format?.schema;
  return {
    kind: "chat",
    messages,
    sampling: {
      ...sampling,
      topP: Math.max(sampling.topP, Number.EPSILON),
      ...{ frequencyPenalty: 0, presencePenalty: 0, seed: randomSeed() },
    },
    ...toToolFields(toolsOf(request.tools ?? []), {
      choice: choiceOf(request.tool_choice),
      isParallel: !(
        request.tool_choice != null &&
        "disable_parallel_tool_use" in request.tool_choice &&
        request.tool_choice.disable_parallel_tool_use
      ),
      pathOf: (place, field) => `tools[${place}].${field === "parameters" ? "input_schema" : field}`,
    }),
    ...(schema === undefined ? {} : { format: { type: "json_schema" as const, schema } }),
  };
}

function toolsOf(tools: NonNullable<z.output<typeof countRequestSchema>["tools"]>): Tool[] {
  return tools.map(({ name, description, input_schema: parameters, strict }) =>
    toTool({ name, description, parameters, strict }),
  );
}

function choiceOf(choice: z.output<typeof countRequestSchema>["tool_choice"]): ChoiceOfTools {
  switch (choice?.type) {
    case "any":
      return { mode: "required" };
    case "tool":
      return { mode: "named", name: choice.name };
    case "none":
      return { mode: "none" };
    default:
      return { mode: "auto" };
  }
}

/** A user's message may hold results of tools and words: each result is a turn of its own. */
function turnsOf({ role, content }: Message): ChatMessage[] {
  if (typeof content === "string") return [{ role, content }];
  const turns: ChatMessage[] = [];
  for (const block of content) {
    const last = turns.at(-1);
    if (block.type === "tool_result") {
      turns.push({ role: "tool", content: textOf(block.content ?? ""), toolCallId: block.tool_use_id });
    } else if (block.type === "text") {
      if (last?.role === role && last.toolCalls === undefined) last.content += block.text;
      else turns.push({ role, content: block.text });
    } else if (block.type === "tool_use") {
      const call = { id: block.id, name: block.name, arguments: JSON.stringify(block.input) };
      if (last?.role === role) last.toolCalls = [...(last.toolCalls ?? []), call];
      else turns.push({ role, content: "", toolCalls: [call] });
    }
  }
  return turns;
}

/** Refuses results of uses that nothing before them made. */
function refuseLooseResults(turns: readonly ChatMessage[]): void {
  const used = new Set<string>();
  for (const { toolCalls = [], toolCallId } of turns) {
    for (const { id } of toolCalls) used.add(id);
    if (toolCallId !== undefined && !used.has(toolCallId)) {
      throw invalidValue("messages", `there is no tool_use before it with the id ${toolCallId.slice(0, 64)}`);
    }
  }
}

function textOf(content: string | readonly { text: string }[]): string {
  return typeof content === "string" ? content : content.map((block) => block.text).join("");
}

function tooLong(size: string): Refusal {
  return new Refusal({
    code: "prompt_too_large",
    param: "messages",
    message: `The messages have ${size}. Shorten them: at most ${limits.promptCharacters} characters are read.`,
  });
}
