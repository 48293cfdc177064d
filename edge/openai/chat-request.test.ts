import { expect, test } from "vitest";
import { limits } from "../../core/limits.ts";
import { Refusal } from "../../core/refusal.ts";
import { chatInputSchema } from "../../core/wire/task-input.ts";
import { parseChatRequest } from "./chat-request.ts";

const hello = { model: "smollm2-135m-instruct", messages: [{ role: "user", content: "Hello" }] };

function refusalOf(body: unknown): { code: string; param: string | undefined } {
  try {
    parseChatRequest(body);
  } catch (error) {
    if (error instanceof Refusal) return { code: error.code, param: error.param };
    throw error;
  }
  throw new Error("the body was taken");
}

/** The order of a request with further fields, without the seed that was drawn for it. */
function orderOf(fields: object): object {
  const order = parseChatRequest({ ...hello, ...fields });
  return { ...order, input: { ...order.input, sampling: { ...order.input.sampling, seed: 0 } } };
}

test("a request that says nothing else gets OpenAI's defaults and a seed of its own", () => {
  const order = parseChatRequest(hello);
  expect(order).toEqual({
    model: "smollm2-135m-instruct",
    wantsEvidence: false,
    choices: 1,
    isStream: false,
    includeUsage: false,
    input: {
      kind: "chat",
      messages: [{ role: "user", content: "Hello" }],
      sampling: {
        temperature: 1,
        topP: 1,
        frequencyPenalty: 0,
        presencePenalty: 0,
        seed: expect.any(Number),
        stop: [],
        maxTokens: null,
      },
    },
  });
  const seeds = new Set(Array.from({ length: 8 }, () => parseChatRequest(hello).input.sampling.seed));
  expect(seeds.size).toBeGreaterThan(1);
});

test("null is as good as absent, for every optional parameter", () => {
  const nulls = Object.fromEntries(
    [
      ...["temperature", "top_p", "max_tokens", "max_completion_tokens", "frequency_penalty", "presence_penalty"],
      ...["seed", "stop", "stream", "stream_options", "n", "tools", "tool_choice", "parallel_tool_calls", "functions"],
      ...["function_call", "response_format", "logprobs", "top_logprobs", "logit_bias", "audio", "modalities"],
      ...["prediction", "web_search_options", "network"],
    ].map((name) => [name, null]),
  );
  expect(orderOf(nulls)).toEqual(orderOf({}));
});

test.each<[guarantee: string, fields: object]>([
  ["n of 1 is what everybody gets", { n: 1 }],
  ["no tools are asked for by an empty list", { tools: [], functions: [] }],
  ["one node is what everybody gets", { network: { redundancy: 1, private: false, evidence: false } }],
  ["a tool choice without tools asks for nothing", { tool_choice: "auto", parallel_tool_calls: true }],
  ["a tool choice of none asks for nothing", { tool_choice: "none", function_call: "none" }],
  ["plain text is what everybody gets", { response_format: { type: "text" }, modalities: ["text"] }],
  ["no probabilities are asked for", { logprobs: false, top_logprobs: 0 }],
  ["an empty bias asks for nothing", { logit_bias: {} }],
  ["a user's name is ignored", { user: "someone", safety_identifier: "someone", prompt_cache_key: "key" }],
  ["storing is ignored", { store: false, metadata: { a: "b" }, service_tier: "auto" }],
  ["what nobody knows is ignored", { never_heard_of: { deep: [1, 2, 3] } }],
  ["an empty stop sequence stops nothing", { stop: "" }],
  ["an empty list of stop sequences stops nothing", { stop: [] }],
  ["options of a stream without one mean nothing", { stream_options: {} }],
])("%s", (_guarantee, fields) => {
  expect(orderOf(fields)).toEqual(orderOf({}));
});

test.each<[param: string, value: unknown]>([
  ["functions", [{ name: "f" }]],
  ["function_call", { name: "f" }],
  ["audio", { voice: "alloy", format: "wav" }],
  ["modalities", ["text", "audio"]],
  ["modalities", ["audio"]],
  ["prediction", { type: "content", content: "a" }],
  ["web_search_options", { search_context_size: "low" }],
  ["reasoning_effort", "high"],
  ["verbosity", "low"],
])("%s of %j is refused by name, never dropped", (param, value) => {
  expect(refusalOf({ ...hello, [param]: value })).toEqual({ code: "unsupported_parameter", param });
});

test.each<[guarantee: string, fields: object, sampling: object]>([
  ["temperature 0 is the likeliest token", { temperature: 0 }, { temperature: 0 }],
  ["temperature goes up to 2", { temperature: 2 }, { temperature: 2 }],
  ["top_p 0 is the smallest share that the wire carries", { top_p: 0 }, { topP: Number.EPSILON }],
  ["top_p is kept", { top_p: 0.25 }, { topP: 0.25 }],
  ["penalties are kept", { frequency_penalty: -2, presence_penalty: 2 }, { frequencyPenalty: -2, presencePenalty: 2 }],
  ["a seed is kept", { seed: 42 }, { seed: 42 }],
  ["seed 0 is a seed", { seed: 0 }, { seed: 0 }],
  ["a negative seed is its 32 bits", { seed: -1 }, { seed: 0xffff_ffff }],
  ["a seed of more than 32 bits is its last 32", { seed: 2 ** 32 + 5 }, { seed: 5 }],
  ["max_tokens bounds the answer", { max_tokens: 7 }, { maxTokens: 7 }],
  ["max_completion_tokens bounds the answer", { max_completion_tokens: 8 }, { maxTokens: 8 }],
  ["the newer name wins over the older", { max_tokens: 7, max_completion_tokens: 8 }, { maxTokens: 8 }],
  ["one stop sequence is a list of one", { stop: "\n" }, { stop: ["\n"] }],
  ["stop sequences keep their order", { stop: ["b", "a"] }, { stop: ["b", "a"] }],
  ["empty ones among stop sequences go", { stop: ["", "a"] }, { stop: ["a"] }],
])("%s", (_guarantee, fields, sampling) => {
  const order = parseChatRequest({ ...hello, ...fields });
  expect(order.input.sampling).toMatchObject(sampling);
  // What is past this door must be what the wire takes.
  expect(chatInputSchema.parse(order.input)).toEqual(order.input);
});

test.each<[guarantee: string, fields: object, expected: object]>([
  ["a stream is a stream", { stream: true }, { isStream: true, includeUsage: false }],
  [
    "counts come when asked for",
    { stream: true, stream_options: { include_usage: true } },
    { isStream: true, includeUsage: true },
  ],
  [
    "a null among a stream's options is absent",
    { stream: true, stream_options: { include_usage: null } },
    { isStream: true, includeUsage: false },
  ],
])("%s", (_guarantee, fields, expected) => {
  expect(parseChatRequest({ ...hello, ...fields })).toMatchObject(expected);
});

test.each<[guarantee: string, message: object, expected: object]>([
  ["a developer is a system", { role: "developer", content: "a" }, { role: "system", content: "a" }],
  ["a system stays one", { role: "system", content: "a" }, { role: "system", content: "a" }],
  ["an assistant's turn is kept", { role: "assistant", content: "a" }, { role: "assistant", content: "a" }],
  ["an empty text is a text", { role: "user", content: "" }, { role: "user", content: "" }],
  ["a name is kept", { role: "user", content: "a", name: "ann" }, { role: "user", content: "a", name: "ann" }],
  ["a null name is none", { role: "user", content: "a", name: null }, { role: "user", content: "a" }],
  [
    "text parts are one text, with nothing between them",
    {
      role: "user",
      content: [
        { type: "text", text: "a" },
        { type: "text", text: "b" },
      ],
    },
    { role: "user", content: "ab" },
  ],
])("%s", (_guarantee, message, expected) => {
  expect(parseChatRequest({ ...hello, messages: [message] }).input.messages).toEqual([expected]);
});

const user = { role: "user", content: "a" };
const tool = (name: string, parameters?: object) => ({ type: "function", function: { name, parameters } });
test.each<[guarantee: string, fields: object, code: string, param: string]>([
  ["a model is required", { model: undefined }, "missing_required_parameter", "model"],
  ["an empty model is wrong", { model: "" }, "invalid_value", "model"],
  ["messages are required", { messages: undefined }, "missing_required_parameter", "messages"],
  ["no messages are too few", { messages: [] }, "invalid_value", "messages"],
  ["messages are a list", { messages: "Hello" }, "invalid_value", "messages"],
  ["a message is an object", { messages: ["Hello"] }, "invalid_value", "messages[0]"],
  ["a role is required", { messages: [{ content: "a" }] }, "missing_required_parameter", "messages[0].role"],
  ["a content is required", { messages: [{ role: "user" }] }, "missing_required_parameter", "messages[0].content"],
  [
    "an unknown role is refused",
    { messages: [user, { role: "function", content: "a" }] },
    "invalid_value",
    "messages[1].role",
  ],
  [
    "a tool's message says which call it answers",
    { messages: [user, { role: "tool", content: "a" }] },
    "missing_required_parameter",
    "messages[1].tool_call_id",
  ],
  [
    "a tool's message without a call before it is refused",
    { messages: [user, { role: "tool", content: "a", tool_call_id: "call_1" }] },
    "invalid_value",
    "messages[1].tool_call_id",
  ],
  [
    "an assistant's message with nothing in it is refused",
    { messages: [user, { role: "assistant" }] },
    "missing_required_parameter",
    "messages[1].content",
  ],
  [
    "a call of another kind than a function's is refused",
    { messages: [{ role: "assistant", tool_calls: [{ id: "a", type: "custom", custom: {} }] }] },
    "invalid_value",
    "messages[0].tool_calls[0].type",
  ],
  ["n of 0 is refused", { n: 0 }, "invalid_value", "n"],
  ["more choices than the limit are refused", { n: limits.choices + 1 }, "invalid_value", "n"],
  ["tools are functions", { tools: [{ type: "custom", custom: { name: "f" } }] }, "invalid_value", "tools[0].type"],
  [
    "a tool's name has no spaces",
    { tools: [{ type: "function", function: { name: "a b" } }] },
    "invalid_value",
    "tools[0].function.name",
  ],
  ["two tools of one name are refused", { tools: [tool("f"), tool("f")] }, "invalid_value", "tools[1].function.name"],
  [
    "arguments are an object",
    { tools: [tool("f", { type: "string" })] },
    "invalid_value",
    "tools[0].function.parameters",
  ],
  ["a choice without tools is refused", { tool_choice: "required" }, "invalid_value", "tool_choice"],
  [
    "a choice of a tool that is not there is refused",
    { tools: [tool("f")], tool_choice: { type: "function", function: { name: "g" } } },
    "invalid_value",
    "tool_choice",
  ],
  ["a choice in other words is refused", { tools: [tool("f")], tool_choice: "any" }, "invalid_value", "tool_choice"],
  ["parallel calls are yes or no", { parallel_tool_calls: "yes" }, "invalid_value", "parallel_tool_calls"],
  [
    "a format of another type is refused",
    { response_format: { type: "xml" } },
    "invalid_value",
    "response_format.type",
  ],
  [
    "a schema has a name",
    { response_format: { type: "json_schema", json_schema: { schema: {} } } },
    "missing_required_parameter",
    "response_format.json_schema.name",
  ],
  ["likeliest tokens come with probabilities only", { top_logprobs: 5 }, "invalid_value", "top_logprobs"],
  ["21 likeliest tokens are refused", { logprobs: true, top_logprobs: 21 }, "invalid_value", "top_logprobs"],
  ["a bias has bounds", { logit_bias: { "5": 101 } }, "invalid_value", "logit_bias.5"],
  ["a bias is for a token's id", { logit_bias: { hello: 1 } }, "invalid_value", "logit_bias"],
  ["metadata is texts", { metadata: { a: 1 } }, "invalid_value", "metadata.a"],
  [
    "a trust policy that is not there yet is refused by name",
    { network: { trust: "consensus" } },
    "unsupported_parameter",
    "network.trust",
  ],
  ["a trust policy that nobody knows is refused", { network: { trust: "blind" } }, "invalid_value", "network.trust"],
  ["a wish that nobody knows is refused", { network: { speed: 1 } }, "invalid_value", "network"],
  [
    "a null content is refused",
    { messages: [{ role: "user", content: null }] },
    "invalid_value",
    "messages[0].content",
  ],
  [
    "an empty list of parts is refused",
    { messages: [{ role: "user", content: [] }] },
    "invalid_value",
    "messages[0].content",
  ],
  [
    "an image is refused with its place",
    {
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "a" },
            { type: "image_url", image_url: { url: "a" } },
          ],
        },
      ],
    },
    "invalid_value",
    "messages[0].content[1].type",
  ],
  [
    "a text part without text is refused with its place",
    { messages: [{ role: "user", content: [{ type: "text" }] }] },
    "missing_required_parameter",
    "messages[0].content[0].text",
  ],
  ["a long name is refused", { messages: [{ ...user, name: "a".repeat(65) }] }, "invalid_value", "messages[0].name"],
  ["a temperature above 2 is refused", { temperature: 2.1 }, "invalid_value", "temperature"],
  ["a temperature below 0 is refused", { temperature: -0.1 }, "invalid_value", "temperature"],
  ["a temperature in words is refused", { temperature: "warm" }, "invalid_value", "temperature"],
  ["a top_p above 1 is refused", { top_p: 1.1 }, "invalid_value", "top_p"],
  ["a top_p below 0 is refused", { top_p: -0.1 }, "invalid_value", "top_p"],
  ["max_tokens of 0 is refused", { max_tokens: 0 }, "invalid_value", "max_tokens"],
  ["half a token is refused", { max_completion_tokens: 0.5 }, "invalid_value", "max_completion_tokens"],
  ["a penalty above 2 is refused", { frequency_penalty: 2.1 }, "invalid_value", "frequency_penalty"],
  ["a penalty below -2 is refused", { presence_penalty: -2.1 }, "invalid_value", "presence_penalty"],
  ["a seed with a fraction is refused", { seed: 1.5 }, "invalid_value", "seed"],
  ["a fifth stop sequence is refused", { stop: ["a", "b", "c", "d", "e"] }, "invalid_value", "stop"],
  ["a stop sequence that is no text is refused", { stop: ["a", 1] }, "invalid_value", "stop[1]"],
  ["a long stop sequence is refused", { stop: "a".repeat(limits.stopSequenceCharacters + 1) }, "invalid_value", "stop"],
  ["a stream in words is refused", { stream: "yes" }, "invalid_value", "stream"],
  ["a stream's options are an object", { stream_options: true }, "invalid_value", "stream_options"],
])("%s", (_guarantee, fields, code, param) => {
  expect(refusalOf({ ...hello, ...fields })).toEqual({ code, param });
});

test("one message more than the limit is refused, the limit itself is not", () => {
  const messages = Array.from({ length: limits.messages }, () => user);
  expect(parseChatRequest({ ...hello, messages }).input.messages).toHaveLength(limits.messages);
  expect(refusalOf({ ...hello, messages: [...messages, user] })).toEqual({ code: "invalid_value", param: "messages" });
});

test("messages that are too long together are refused, those at the limit are not", () => {
  const long = { role: "user", content: "a".repeat(limits.promptCharacters) };
  expect(parseChatRequest({ ...hello, messages: [long] }).input.messages).toHaveLength(1);
  expect(refusalOf({ ...hello, messages: [long, user] })).toEqual({ code: "prompt_too_large", param: "messages" });
});

const parametersOf = (fields: object) => parseChatRequest({ ...hello, tools: [tool("f"), tool("g")], ...fields }).input;

test("tools keep their order and schemas, and those without one take an object", () => {
  const parameters = { properties: { city: { type: "string" } } };
  const tools = [
    { type: "function", function: { name: "f", description: "Finds", parameters, strict: true } },
    { type: "function", function: { name: "g" } },
  ];
  expect(parseChatRequest({ ...hello, tools }).input).toMatchObject({
    tools: [
      { name: "f", description: "Finds", parameters: { ...parameters, type: "object" }, isStrict: true },
      { name: "g", parameters: { type: "object" }, isStrict: false },
    ],
    toolChoice: "auto",
  });
});

test.each<[guarantee: string, fields: object, expected: object]>([
  ["a choice by name", { tool_choice: { type: "function", function: { name: "g" } } }, { toolChoice: { name: "g" } }],
  ["a choice of any", { tool_choice: "required" }, { toolChoice: "required" }],
  ["a choice of none", { tool_choice: "none" }, { toolChoice: "none" }],
  ["one call at a time", { parallel_tool_calls: false }, { isSingleCall: true }],
  [
    "a choice among some",
    {
      tool_choice: {
        type: "allowed_tools",
        allowed_tools: { mode: "required", tools: [{ type: "function", function: { name: "g" } }] },
      },
    },
    { toolChoice: "required", tools: [{ name: "g" }] },
  ],
])("%s of tools is kept", (_guarantee, fields, expected) => {
  const input = parametersOf(fields);
  expect(input).toMatchObject(expected);
  expect(chatInputSchema.parse(input)).toEqual(input);
});

test("calls and their results are turns", () => {
  const call = { id: "call_1", type: "function", function: { name: "f", arguments: '{"a":1}' } };
  const messages = [
    user,
    { role: "assistant", content: null, tool_calls: [call] },
    { role: "tool", tool_call_id: "call_1", content: [{ type: "text", text: "2" }] },
  ];
  expect(parseChatRequest({ ...hello, messages }).input.messages.slice(1)).toEqual([
    { role: "assistant", content: "", toolCalls: [{ id: "call_1", name: "f", arguments: '{"a":1}' }] },
    { role: "tool", content: "2", toolCallId: "call_1" },
  ]);
});

test.each<[format: object, expected: object | undefined]>([
  [{ type: "text" }, undefined],
  [{ type: "json_object" }, { type: "json_object" }],
  [{ type: "json_schema", json_schema: { name: "s" } }, { type: "json_object" }],
  [
    { type: "json_schema", json_schema: { name: "s", strict: true, schema: { type: "array" } } },
    { type: "json_schema", schema: { type: "array" } },
  ],
])("the format %j is kept", (format, expected) => {
  expect(parseChatRequest({ ...hello, response_format: format }).input.format).toEqual(expected);
});

test("probabilities and biases are kept", () => {
  const { sampling } = parseChatRequest({
    ...{ ...hello, logprobs: true, top_logprobs: 3, logit_bias: { "7": -100, "0": 2.5 } },
  }).input;
  expect(sampling.logprobs).toEqual({ top: 3 });
  expect(new Map(sampling.logitBias)).toEqual(
    new Map([
      [7, -100],
      [0, 2.5],
    ]),
  );
});

test("a body nested without end is refused before anything walks it", () => {
  const deep = (levels: number): unknown => JSON.parse(`${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`);
  const format = (levels: number) => ({ type: "json_schema", json_schema: { name: "s", schema: deep(levels) } });
  expect(refusalOf({ ...hello, response_format: format(100_000) })).toEqual({
    code: "invalid_request",
    param: undefined,
  });
  expect(parseChatRequest({ ...hello, response_format: format(50) }).input.format?.type).toBe("json_schema");
});
