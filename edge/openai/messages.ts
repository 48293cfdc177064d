import { z } from "zod";
import { limits } from "../../core/limits.ts";
import { Refusal } from "../../core/refusal.ts";
import { type ChatMessage, toolNameSchema } from "../../core/wire/task-input.ts";
import { invalidValue } from "./invalid.ts";

const onlyText = "only text parts are supported";
const textPartSchema = z.object({ type: z.literal("text", { error: onlyText }), text: z.string() });
const saidPartSchema = z.discriminatedUnion(
  "type",
  [
    z.object({ type: z.literal("text"), text: z.string() }),
    z.object({ type: z.literal("refusal"), refusal: z.string() }),
  ],
  { error: "only text and refusal parts are supported" },
);
const textOrParts = z.union([z.string(), z.array(textPartSchema).min(1)], {
  error: "must be a string or a list of text parts",
});
const name = z.string().max(64).nullish();

const toolCallSchema = z.object({
  id: z.string().min(1).max(256),
  type: z.literal("function", { error: "only function calls are supported" }),
  function: z.object({
    name: toolNameSchema,
    arguments: z.string().max(limits.promptCharacters),
  }),
});

/** The roles of OpenAI's `messages`, but for the one that `tool` replaced. */
export const messageSchema = z.discriminatedUnion(
  "role",
  [
    z.object({ role: z.enum(["system", "developer", "user"]), content: textOrParts, name }),
    z.object({
      role: z.literal("assistant"),
      content: z.union([z.string(), z.array(saidPartSchema).min(1)]).nullish(),
      refusal: z.string().nullish(),
      tool_calls: z.array(toolCallSchema).min(1).max(limits.tools).nullish(),
      name,
    }),
    z.object({ role: z.literal("tool"), content: textOrParts, tool_call_id: z.string().min(1).max(256) }),
  ],
  { error: "use system, developer, user, assistant or tool" },
);

type Message = z.output<typeof messageSchema>;

export const messagesSchema = z
  .array(messageSchema)
  .min(1, "must hold at least one message")
  .max(limits.messages, `must hold at most ${limits.messages} messages`);

/**
 * Messages as the wire has them. Refuses an assistant's turn with nothing in it, results of calls that no turn before made
 * (`invalid_value`), and more characters than a prompt may have (`prompt_too_large`).
 */
export function toMessages(messages: readonly Message[]): ChatMessage[] {
  const called = new Set<string>();
  const turns = messages.map((message, place) => {
    const turn = toMessage(message, place);
    for (const { id } of turn.toolCalls ?? []) called.add(id);
    if (turn.toolCallId !== undefined && !called.has(turn.toolCallId)) {
      throw invalidValue(
        `messages[${place}].tool_call_id`,
        "a tool's message answers a call of an earlier assistant's message, and none has this id",
      );
    }
    return turn;
  });
  refuseTooLong(turns);
  return turns;
}

function toMessage(message: Message, place: number): ChatMessage {
  switch (message.role) {
    case "tool":
      return { role: "tool", content: textOf(message.content), toolCallId: message.tool_call_id };
    case "assistant": {
      const { content, refusal, tool_calls: calls } = message;
      if (content == null && refusal == null && calls == null) {
        throw new Refusal({
          code: "missing_required_parameter",
          param: `messages[${place}].content`,
          message: `Missing required parameter: 'messages[${place}].content'. An assistant's message without tool_calls has one.`,
        });
      }
      return {
        role: "assistant",
        content: content == null ? (refusal ?? "") : textOf(content),
        ...named(message.name),
        ...(calls == null
          ? {}
          : { toolCalls: calls.map(({ id, function: { name, arguments: text } }) => ({ id, name, arguments: text })) }),
      };
    }
    default: {
      const role = message.role === "developer" ? "system" : message.role;
      return { role, content: textOf(message.content), ...named(message.name) };
    }
  }
}

function named(name: string | null | undefined): { name?: string } {
  return name == null ? {} : { name };
}

function textOf(content: string | readonly ({ text: string } | { refusal: string })[]): string {
  if (typeof content === "string") return content;
  return content.map((part) => ("text" in part ? part.text : part.refusal)).join("");
}

/** Characters of messages, with the arguments of their calls. */
export function charactersOf(messages: readonly ChatMessage[]): number {
  return messages.reduce(
    (sum, { content, toolCalls = [] }) =>
      toolCalls.reduce((inner, call) => inner + call.arguments.length, sum + content.length),
    0,
  );
}

/** Refuses messages that are too long together (`prompt_too_large`). */
function refuseTooLong(messages: readonly ChatMessage[]): void {
  const characters = charactersOf(messages);
  if (characters <= limits.promptCharacters) return;
  throw new Refusal({
    code: "prompt_too_large",
    param: "messages",
    message: `The messages have ${characters} characters and the limit is ${limits.promptCharacters}. Shorten them.`,
  });
}
