import { z } from "zod";
import { limits } from "../../core/limits.ts";
import { type ChatMessage, toolNameSchema } from "../../core/wire/task-input.ts";
import { invalidValue } from "../openai/invalid.ts";

const onlyText = { error: "only text parts are supported" };
const textPart = z.discriminatedUnion(
  "type",
  [
    z.object({ type: z.literal("input_text"), text: z.string() }),
    z.object({ type: z.literal("output_text"), text: z.string() }),
    z.object({ type: z.literal("refusal"), refusal: z.string() }),
  ],
  onlyText,
);
const itemId = z.string().max(256).nullish();

const messageItem = z.object({
  type: z.literal("message"),
  role: z.enum(["user", "system", "developer", "assistant"], { error: "use user, system, developer or assistant" }),
  content: z.union([z.string(), z.array(textPart)]),
  id: itemId,
});
const callItem = z.object({
  type: z.literal("function_call"),
  call_id: z.string().min(1).max(256),
  name: toolNameSchema,
  arguments: z.string().max(limits.promptCharacters),
  id: itemId,
});
const outputItem = z.object({
  type: z.literal("function_call_output"),
  call_id: z.string().min(1).max(256),
  output: z.union([z.string(), z.array(z.object({ type: z.literal("input_text", onlyText), text: z.string() }))]),
  id: itemId,
});
const referenceItem = z.object({ type: z.literal("item_reference"), id: z.string().min(1).max(256) });

/** An item of a request's `input`: one without a type is a message. */
const itemSchema = z.preprocess(
  (item) =>
    typeof item === "object" && item !== null && !("type" in item && item.type != null)
      ? { ...item, type: "message" }
      : item,
  z.discriminatedUnion("type", [messageItem, callItem, outputItem, referenceItem], {
    error: "use message, function_call, function_call_output or item_reference",
  }),
);

export const inputSchema = z.union([z.string(), z.array(itemSchema).max(limits.messages)], {
  error: "must be a text or a list of items",
});

export type InputItem = z.output<typeof itemSchema>;
/** An item that says itself what it is. */
export type WholeItem = Exclude<InputItem, { type: "item_reference" }>;

/** Items of a request, each with its text in it; references are still to be looked up. */
export function itemsOf(input: z.output<typeof inputSchema>): InputItem[] {
  return typeof input === "string" ? [{ type: "message", role: "user", content: input }] : input;
}

/** Items that are an earlier response's output. */
export function parseItems(values: readonly unknown[]): WholeItem[] {
  return z
    .array(itemSchema)
    .parse(values)
    .filter((item) => item.type !== "item_reference");
}

/** The turns that items make: calls belong to the assistant's turn before them. */
export function turnsOf(items: readonly WholeItem[]): ChatMessage[] {
  const turns: ChatMessage[] = [];
  for (const item of items) {
    const last = turns.at(-1);
    if (item.type === "function_call") {
      const call = { id: item.call_id, name: item.name, arguments: item.arguments };
      if (last?.role === "assistant") last.toolCalls = [...(last.toolCalls ?? []), call];
      else turns.push({ role: "assistant", content: "", toolCalls: [call] });
    } else if (item.type === "function_call_output") {
      const content = typeof item.output === "string" ? item.output : item.output.map((part) => part.text).join("");
      turns.push({ role: "tool", content, toolCallId: item.call_id });
    } else {
      turns.push({ role: item.role === "developer" ? "system" : item.role, content: textOf(item.content) });
    }
  }
  return turns;
}

/** Refuses results of calls that nothing before them made. */
export function refuseLooseResults(turns: readonly ChatMessage[]): void {
  const called = new Set<string>();
  for (const { toolCalls = [], toolCallId } of turns) {
    for (const { id } of toolCalls) called.add(id);
    if (toolCallId !== undefined && !called.has(toolCallId)) {
      throw invalidValue("input", `there is no function call before it with the call_id ${toolCallId.slice(0, 64)}`);
    }
  }
}

/** An item as it is listed: with an id, and a message's text in parts. */
export function listedItem(item: WholeItem, id: string): object {
  const shared = { id: item.id ?? id, status: "completed" };
  if (item.type === "function_call" || item.type === "function_call_output") return { ...item, ...shared };
  if (item.role === "assistant") {
    const part = { type: "output_text", text: textOf(item.content), annotations: [], logprobs: [] };
    return { ...shared, type: "message", role: item.role, content: [part] };
  }
  return { ...shared, type: "message", role: item.role, content: [{ type: "input_text", text: textOf(item.content) }] };
}

function textOf(content: string | readonly z.output<typeof textPart>[]): string {
  if (typeof content === "string") return content;
  return content.map((part) => (part.type === "refusal" ? part.refusal : part.text)).join("");
}
