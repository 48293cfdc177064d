import type { ChatMessage, Tool, ToolCall } from "../../core/wire/task-input.ts";

/** What is said, and the functions that may be called. */
export interface Conversation {
  messages: readonly ChatMessage[];
  tools?: readonly Tool[] | undefined;
}

/** A turn as chat templates read it (Hugging Face, "Tool use" of chat templates). */
export interface TemplateMessage {
  role: ChatMessage["role"];
  content: string;
  name?: string;
  tool_calls?: { id: string; type: "function"; function: { name: string; arguments: unknown } }[];
  tool_call_id?: string;
}

/** A conversation as chat templates read it. */
export interface TemplateConversation {
  messages: readonly TemplateMessage[];
  /** Absent where the model is to know of none. */
  tools?: readonly object[];
}

/** For templates that know tools: calls and results are turns of their own kinds. */
export function nativeConversation({ messages, tools }: Conversation): TemplateConversation {
  const turns = messages.map(
    ({ role, content, name, toolCalls, toolCallId }): TemplateMessage => ({
      role,
      content,
      ...(name === undefined ? {} : { name }),
      ...(toolCalls === undefined ? {} : { tool_calls: toolCalls.map(nativeCall) }),
      ...(toolCallId === undefined ? {} : { tool_call_id: toolCallId }),
    }),
  );
  return { messages: turns, ...(tools === undefined ? {} : { tools: tools.map(toolObject) }) };
}

/** For templates that don't: the system's turn explains the tools, and calls and results are text of their turns. */
export function textConversation({ messages, tools }: Conversation): TemplateConversation {
  const turns: TemplateMessage[] = messages.map(({ role, content, name, toolCalls = [] }) => {
    if (role === "tool") return { role: "user", content: `<tool_response>\n${content}\n</tool_response>` };
    const text = [content, ...toolCalls.map(callText)].filter((part) => part !== "").join("\n");
    return { role, content: text, ...(name === undefined ? {} : { name }) };
  });
  if (tools === undefined) return { messages: turns };
  const [first, ...rest] = turns;
  const explained = toolsText(tools);
  if (first?.role !== "system") return { messages: [{ role: "system", content: explained }, ...turns] };
  return { messages: [{ ...first, content: `${first.content}\n\n${explained}` }, ...rest] };
}

/** A call as an answer has it (docs/WIRE.md, Tool calls). */
function callText({ name, arguments: text }: ToolCall): string {
  return `<tool_call>\n{"name": ${JSON.stringify(name)}, "arguments": ${text}}\n</tool_call>`;
}

function toolsText(tools: readonly Tool[]): string {
  return `You can call functions. Each line between <tools> and </tools> describes one:
<tools>
${tools.map((tool) => JSON.stringify(toolObject(tool))).join("\n")}
</tools>

To call one, write its name and its arguments like this:
<tool_call>
{"name": "function name", "arguments": {"argument": "value"}}
</tool_call>
What it returns comes between <tool_response> and </tool_response>. Answer in plain text where no function is needed.`;
}

function toolObject({ name, description, parameters }: Tool): object {
  return { type: "function", function: { name, ...(description === undefined ? {} : { description }), parameters } };
}

/** Templates write arguments as JSON themselves, so they get the object and not its text. */
function nativeCall({ id, name, arguments: text }: ToolCall): NonNullable<TemplateMessage["tool_calls"]>[number] {
  let value: unknown = text;
  try {
    value = JSON.parse(text);
  } catch {
    // What an earlier model wrote may have been cut off; the template gets it as it is.
  }
  return { id, type: "function", function: { name, arguments: value } };
}
