import { expect, test } from "vitest";
import { Refusal } from "../../core/refusal.ts";
import { chatInputSchema } from "../../core/wire/task-input.ts";
import { parseCountRequest, parseMessageRequest } from "./message-request.ts";

const user = { role: "user", content: "Hello" };
const ask = { model: "model", max_tokens: 9, messages: [user] };
const tool = { name: "f", description: "Finds", input_schema: { type: "object" } };

function refusalOf(fields: object): { code: string; param: string | undefined } {
  try {
    parseMessageRequest({ ...ask, ...fields });
  } catch (error) {
    if (error instanceof Refusal) return { code: error.code, param: error.param };
    throw error;
  }
  throw new Error("the body was taken");
}

test("a message is a task with a system's turn first, where there is one", () => {
  const { input } = parseMessageRequest({ ...ask, system: [{ type: "text", text: "Be brief." }] });
  expect(chatInputSchema.parse(input)).toEqual(input);
  expect(input.messages).toEqual([{ role: "system", content: "Be brief." }, user]);
  expect(input.sampling).toMatchObject({ maxTokens: 9, temperature: 1, topP: 1 });
});

test("uses and results of tools are turns, words beside them their own, and thoughts are left out", () => {
  const messages = [
    user,
    {
      role: "assistant",
      content: [
        { type: "thinking", thinking: "hm", signature: "s" },
        { type: "text", text: "I look." },
        { type: "tool_use", id: "toolu_1", name: "f", input: { a: 1 } },
      ],
    },
    {
      role: "user",
      content: [
        { type: "tool_result", tool_use_id: "toolu_1", is_error: false, content: [{ type: "text", text: "2" }] },
        { type: "text", text: "Well?" },
      ],
    },
  ];
  expect(parseMessageRequest({ ...ask, messages }).input.messages).toEqual([
    user,
    { role: "assistant", content: "I look.", toolCalls: [{ id: "toolu_1", name: "f", arguments: '{"a":1}' }] },
    { role: "tool", content: "2", toolCallId: "toolu_1" },
    { role: "user", content: "Well?" },
  ]);
});

test.each<[choice: object, expected: object]>([
  [{ type: "auto" }, { toolChoice: "auto" }],
  [{ type: "any" }, { toolChoice: "required" }],
  [{ type: "none" }, { toolChoice: "none" }],
  [{ type: "tool", name: "f" }, { toolChoice: { name: "f" } }],
  [
    { type: "any", disable_parallel_tool_use: true },
    { toolChoice: "required", isSingleCall: true },
  ],
])("the choice %j is kept", (choice, expected) => {
  expect(parseMessageRequest({ ...ask, tools: [tool], tool_choice: choice }).input).toMatchObject(expected);
});

test("a format and stop sequences are kept", () => {
  const schema = { type: "object" };
  const { input } = parseMessageRequest({
    ...{ ...ask, stop_sequences: ["END"], output_config: { format: { type: "json_schema", schema } } },
  });
  expect(input).toMatchObject({ format: { type: "json_schema", schema }, sampling: { stop: ["END"] } });
});

test("a count asks for one token, and needs no bound", () => {
  const { max_tokens: _, ...count } = ask;
  expect(parseCountRequest(count).input.sampling.maxTokens).toBe(1);
});

test.each<[guarantee: string, fields: object, code: string, param: string]>([
  ["a bound is required", { max_tokens: undefined }, "missing_required_parameter", "max_tokens"],
  ["a temperature above 1 is refused", { temperature: 1.1 }, "invalid_value", "temperature"],
  [
    "an image is refused",
    { messages: [{ role: "user", content: [{ type: "image" }] }] },
    "invalid_value",
    "messages[0].content[0].type",
  ],
  ["a system's message is none", { messages: [{ role: "system", content: "a" }] }, "invalid_value", "messages[0].role"],
  [
    "Anthropic's own tools are refused",
    { tools: [{ ...tool, type: "bash_20250124" }] },
    "invalid_value",
    "tools[0].type",
  ],
  [
    "arguments are an object",
    { tools: [{ ...tool, input_schema: { type: "array" } }] },
    "invalid_value",
    "tools[0].input_schema",
  ],
  [
    "a tool that is not there cannot be chosen",
    { tools: [tool], tool_choice: { type: "tool", name: "g" } },
    "invalid_value",
    "tool_choice",
  ],
  ["thinking is refused", { thinking: { type: "enabled", budget_tokens: 1_024 } }, "unsupported_parameter", "thinking"],
  [
    "a result of nothing is refused",
    { messages: [{ role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_1", content: "2" }] }] },
    "invalid_value",
    "messages",
  ],
  [
    "uses with arguments that are too long together are refused",
    {
      messages: Array.from({ length: 3 }, (_, place) => ({
        role: "assistant",
        content: [{ type: "tool_use", id: `toolu_${place}`, name: "f", input: { a: "x".repeat(999_999) } }],
      })),
    },
    "prompt_too_large",
    "messages",
  ],
  ["an effort is refused", { output_config: { effort: "low" } }, "unsupported_parameter", "output_config.effort"],
  ["an effort that is none is refused", { output_config: { effort: 1 } }, "invalid_value", "output_config.effort"],
  [
    "the beta's format is refused",
    { output_format: { type: "json_schema" } },
    "unsupported_parameter",
    "output_format",
  ],
  ["a tier that is none is refused", { service_tier: "gold" }, "invalid_value", "service_tier"],
  ["a cache of another kind is refused", { cache_control: { type: "a" } }, "invalid_value", "cache_control.type"],
  ["a top_k below -1 is refused", { top_k: -2 }, "invalid_value", "top_k"],
])("%s", (_guarantee, fields, code, param) => {
  expect(refusalOf(fields)).toEqual({ code, param });
});

test("thinking that is off, and a metadata, ask for nothing", () => {
  const { input } = parseMessageRequest({
    ...{ ...ask, thinking: { type: "disabled" }, metadata: { user_id: "u" }, output_config: { effort: "high" } },
    ...{ service_tier: "auto", cache_control: { type: "ephemeral", ttl: "1h" } },
  });
  expect(input.messages).toEqual([user]);
});
