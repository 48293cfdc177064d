import { expect, test } from "vitest";
import { Refusal } from "../../core/refusal.ts";
import { chatInputSchema } from "../../core/wire/task-input.ts";
import { turnsOf, type WholeItem } from "./response-items.ts";
import { inputOf, parseResponseRequest } from "./response-request.ts";

const ask = { model: "model", input: "Hello" };
const tool = { type: "function", name: "f", parameters: { type: "object" } };
const isWhole = (item: { type: string }): item is WholeItem => item.type !== "item_reference";

/** The task of a body that refers to nothing stored. */
function taskOf(fields: object) {
  const order = parseResponseRequest({ ...ask, ...fields });
  return inputOf(order, turnsOf(order.items.filter(isWhole)));
}

function refusalOf(fields: object): { code: string; param: string | undefined } {
  try {
    taskOf(fields);
  } catch (error) {
    if (error instanceof Refusal) return { code: error.code, param: error.param };
    throw error;
  }
  throw new Error("the body was taken");
}

test("a text is one turn, after the instructions", () => {
  const input = taskOf({ instructions: "Be brief.", max_output_tokens: 9, temperature: 0.5, top_p: 0.9 });
  expect(chatInputSchema.parse(input)).toEqual(input);
  expect(input.messages).toEqual([
    { role: "system", content: "Be brief." },
    { role: "user", content: "Hello" },
  ]);
  expect(input.sampling).toMatchObject({ maxTokens: 9, temperature: 0.5, topP: 0.9 });
});

test("a call belongs to the assistant's turn before it, and its result is a turn of its own", () => {
  const input = taskOf({
    input: [
      {
        role: "developer",
        content: [
          { type: "input_text", text: "Be " },
          { type: "input_text", text: "brief." },
        ],
      },
      { role: "assistant", content: [{ type: "output_text", text: "I look." }] },
      { type: "function_call", call_id: "c", name: "f", arguments: "{}" },
      { type: "function_call_output", call_id: "c", output: [{ type: "input_text", text: "2" }] },
    ],
  });
  expect(input.messages).toEqual([
    { role: "system", content: "Be brief." },
    { role: "assistant", content: "I look.", toolCalls: [{ id: "c", name: "f", arguments: "{}" }] },
    { role: "tool", content: "2", toolCallId: "c" },
  ]);
});

test.each<[choice: unknown, expected: object]>([
  ["auto", { toolChoice: "auto" }],
  ["none", { toolChoice: "none" }],
  ["required", { toolChoice: "required" }],
  [{ type: "function", name: "f" }, { toolChoice: { name: "f" } }],
  [
    { type: "allowed_tools", mode: "required", tools: [{ type: "function", name: "f" }] },
    { toolChoice: "required", tools: [{ name: "f" }] },
  ],
])("the choice %j is kept", (choice, expected) => {
  expect(taskOf({ tools: [{ ...tool, name: "g" }, tool], tool_choice: choice })).toMatchObject(expected);
});

test.each<[guarantee: string, fields: object, code: string, param: string]>([
  ["no input", { input: undefined }, "missing_required_parameter", "input"],
  ["an empty input", { input: [] }, "invalid_value", "input"],
  ["an item that is none", { input: [{ type: "image" }] }, "invalid_value", "input[0].type"],
  ["a role that is none", { input: [{ role: "wizard", content: "a" }] }, "invalid_value", "input[0].role"],
  ["a bound of 0", { max_output_tokens: 0 }, "invalid_value", "max_output_tokens"],
  ["a temperature above 2", { temperature: 2.1 }, "invalid_value", "temperature"],
  ["a top_p above 1", { top_p: 1.1 }, "invalid_value", "top_p"],
  ["21 likeliest tokens", { top_logprobs: 21 }, "invalid_value", "top_logprobs"],
  ["no calls at all", { max_tool_calls: 0 }, "invalid_value", "max_tool_calls"],
  ["metadata that is nested", { metadata: { a: {} } }, "invalid_value", "metadata.a"],
  ["a long safety identifier", { safety_identifier: "x".repeat(65) }, "invalid_value", "safety_identifier"],
  ["a tier that is none", { service_tier: "gold" }, "invalid_value", "service_tier"],
  ["a cache that is kept for ever", { prompt_cache_retention: "1y" }, "invalid_value", "prompt_cache_retention"],
  ["a format that is none", { text: { format: { type: "xml" } } }, "invalid_value", "text.format.type"],
  ["much verbosity", { text: { verbosity: "high" } }, "invalid_value", "text.verbosity"],
  [
    "a choice without its tool",
    { tools: [tool], tool_choice: { type: "function", name: "g" } },
    "invalid_value",
    "tool_choice",
  ],
  ["a stored prompt", { prompt: { id: "p" } }, "unsupported_parameter", "prompt"],
  ["a conversation object", { conversation: "conv_1" }, "unsupported_parameter", "conversation"],
  ["reasoning", { reasoning: { effort: "high" } }, "unsupported_parameter", "reasoning"],
  ["truncation", { truncation: "auto" }, "unsupported_parameter", "truncation"],
  [
    "context management",
    { context_management: [{ type: "compaction" }] },
    "unsupported_parameter",
    "context_management",
  ],
  ["moderation", { moderation: { model: "m" } }, "unsupported_parameter", "moderation"],
  ["a background response that is not stored", { background: true, store: false }, "invalid_value", "store"],
  [
    "calls with arguments that are too long together",
    {
      input: Array.from({ length: 3 }, (_, place) => ({
        ...{ type: "function_call", call_id: `c${place}`, name: "f", arguments: "x".repeat(999_999) },
      })),
    },
    "prompt_too_large",
    "input",
  ],
])("%s is refused by name", (_guarantee, fields, code, param) => {
  expect(refusalOf(fields)).toEqual({ code, param });
});

test("what OpenAI ignores, and what asks for nothing, is taken", () => {
  const { input, ...ignored } = {
    ...{ ...ask, user: "u", safety_identifier: "s", prompt_cache_key: "k", prompt_cache_retention: "24h" },
    ...{
      service_tier: "auto",
      max_tool_calls: 3,
      stream_options: { include_obfuscation: false },
      metadata: { a: "b" },
    },
    ...{ truncation: "disabled", reasoning: { effort: "none" }, include: ["reasoning.encrypted_content"] },
  };
  expect(taskOf(ignored).messages).toEqual([{ role: "user", content: input }]);
});
