import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DevnetProcess, newFolder } from "./devnet-process.ts";
import { VendorSpec } from "./vendor-specs.ts";
import { until } from "./wait.ts";
import { type AnswerSchemas, WatchedFetch } from "./watched-fetch.ts";

const model = "smollm2-135m-instruct";
const folder = newFolder();
const common = { model, temperature: 0, max_output_tokens: 60 };

let devnet: DevnetProcess;
let watched: WatchedFetch;
let client: OpenAI;

const schemas: readonly (readonly [method: string, path: RegExp, schemas: AnswerSchemas])[] = [
  ["POST", /^\/v1\/responses$/, { body: "Response", event: "ResponseStreamEvent", error: "ErrorResponse" }],
  ["POST", /^\/v1\/responses\/[^/]+\/cancel$/, { body: "Response", error: "ErrorResponse" }],
  ["DELETE", /^\/v1\/responses\/[^/]+$/, { body: null, error: "ErrorResponse" }],
  ["GET", /^\/v1\/responses\/[^/]+$/, { body: "Response", error: "ErrorResponse" }],
  ["GET", /^\/v1\/responses\/[^/]+\/input_items$/, { body: "ResponseItemList", error: "ErrorResponse" }],
];

async function start(): Promise<void> {
  devnet = await DevnetProcess.start({ folder, models: [model], cache: "shared" });
  client = new OpenAI({ baseURL: devnet.baseUrl, apiKey: devnet.apiKey, maxRetries: 0, fetch: watched.fetch });
}
beforeAll(async () => {
  watched = new WatchedFetch(await VendorSpec.load("openai"), (method, path) => {
    const found = schemas.find(([wanted, pattern]) => wanted === method && pattern.test(path))?.[2];
    return found ?? { error: "ErrorResponse" };
  });
  await start();
});
afterAll(() => devnet.remove());

/** What the router said no with. */
async function refusalOf(action: Promise<unknown>): Promise<unknown> {
  try {
    await action;
    return "taken";
  } catch (error) {
    return error instanceof OpenAI.APIError ? { status: error.status, code: error.code, param: error.param } : error;
  }
}

const weather = {
  type: "function" as const,
  name: "get_weather",
  description: "Weather of a city",
  parameters: {
    type: "object",
    properties: { city: { type: "string", maxLength: 20 } },
    required: ["city"],
    additionalProperties: false,
  },
  strict: true,
};

describe("an answer", () => {
  test("is the same whole and streamed, and every event is numbered", async () => {
    const wish = { ...common, instructions: "Be brief.", input: "What is the capital of France?" };
    const whole = await client.responses.create(wish);
    expect(whole).toMatchObject({ status: "completed", output: [{ type: "message", role: "assistant" }] });
    expect(whole.output_text.length).toBeGreaterThan(0);
    const types: string[] = [];
    let text = "";
    for await (const event of await client.responses.create({ ...wish, stream: true })) {
      expect(event.sequence_number).toBe(types.length);
      types.push(event.type);
      if (event.type === "response.output_text.delta") text += event.delta;
      if (event.type === "response.completed") expect(event.response.output_text ?? text).toBe(text);
    }
    expect(text).toBe(whole.output_text);
    expect(types.filter((type) => type !== "response.output_text.delta")).toEqual([
      ...["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"],
      ...["response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"],
    ]);
  });

  test("that the length cuts is incomplete and says why", async () => {
    const cut = await client.responses.create({ ...common, max_output_tokens: 3, input: "Tell me a long story." });
    expect(cut).toMatchObject({ status: "incomplete", incomplete_details: { reason: "max_output_tokens" } });
    expect(cut.usage?.output_tokens).toBe(3);
  });

  test("of a schema fits it", async () => {
    const schema = {
      type: "object",
      properties: { city: { type: "string", maxLength: 20 }, size: { enum: ["small", "large"] } },
      required: ["city", "size"],
      additionalProperties: false,
    };
    const { output_text: text } = await client.responses.create({
      ...{
        ...common,
        input: "Which city?",
        text: { format: { type: "json_schema", name: "city", schema, strict: true } },
      },
    });
    expect(JSON.parse(text)).toEqual({ city: expect.any(String), size: expect.stringMatching(/^(small|large)$/) });
  });

  test("has probabilities where they are asked for", async () => {
    const { output } = await client.responses.create({
      ...{
        ...common,
        max_output_tokens: 3,
        input: "Hello",
        top_logprobs: 2,
        include: ["message.output_text.logprobs"],
      },
    });
    const [item] = output;
    const part = item?.type === "message" ? item.content[0] : undefined;
    expect(part?.type === "output_text" && part.logprobs?.map(({ top_logprobs: top }) => top.length)).toEqual([
      2, 2, 2,
    ]);
  });
});

describe("a conversation", () => {
  test("goes on from a stored response, by its id, and its call's result makes a second turn", async () => {
    const forced = { ...common, tools: [weather], tool_choice: { type: "function" as const, name: "get_weather" } };
    const first = await client.responses.create({ ...forced, input: "Is it warm in Oslo?" });
    const [call] = first.output;
    if (call?.type !== "function_call") throw new Error("nothing is called");
    expect(JSON.parse(call.arguments)).toEqual({ city: expect.any(String) });

    const result = { type: "function_call_output" as const, call_id: call.call_id, output: "3 degrees" };
    const second = await client.responses.create({ ...common, previous_response_id: first.id, input: [result] });
    expect(second.previous_response_id).toBe(first.id);
    const { data } = await client.responses.inputItems.list(second.id);
    expect(data).toMatchObject([{ type: "function_call_output", call_id: call.call_id, output: "3 degrees" }]);
    // The same conversation in full, without anything stored, reads the same prompt.
    const full = await client.responses.create({
      ...{ ...common, store: false },
      input: [
        { role: "user", content: "Is it warm in Oslo?" },
        { type: "function_call", call_id: call.call_id, name: call.name, arguments: call.arguments },
        result,
      ],
    });
    expect(full.usage?.input_tokens).toBe(second.usage?.input_tokens);
    expect(full.output_text).toBe(second.output_text);
    // And so does one that names the call by its item's id.
    const referred = await client.responses.create({
      ...{ ...common, store: false },
      input: [{ role: "user", content: "Is it warm in Oslo?" }, { type: "item_reference", id: call.id ?? "" }, result],
    });
    expect(referred.usage?.input_tokens).toBe(second.usage?.input_tokens);
  });

  test("streams a call as deltas that make its arguments", async () => {
    const forced = { ...common, tools: [weather], tool_choice: "required" as const, parallel_tool_calls: false };
    let text = "";
    let done: unknown;
    for await (const event of await client.responses.create({
      ...forced,
      input: "Is it warm in Oslo?",
      stream: true,
    })) {
      if (event.type === "response.function_call_arguments.delta") text += event.delta;
      if (event.type === "response.function_call_arguments.done") done = event.arguments;
    }
    expect(done).toBe(text);
    expect(JSON.parse(text)).toEqual({ city: expect.any(String) });
  });

  test("a stored response outlives a restart of everything, until it is deleted", async () => {
    const first = await client.responses.create({ ...common, input: "My name is Ada. Hello!" });
    const before = await client.responses.create({ ...common, previous_response_id: first.id, input: "Who am I?" });
    await devnet.stop();
    await start();
    expect(await client.responses.retrieve(first.id)).toMatchObject({ id: first.id, output: first.output });
    const after = await client.responses.create({ ...common, previous_response_id: first.id, input: "Who am I?" });
    expect(after.usage?.input_tokens).toBe(before.usage?.input_tokens);
    await client.responses.delete(first.id);
    const gone = { status: 404, code: "response_not_found" };
    expect(await refusalOf(client.responses.retrieve(first.id))).toMatchObject(gone);
    const goOn = client.responses.create({ ...common, previous_response_id: first.id, input: "Hello" });
    expect(await refusalOf(goOn)).toMatchObject({ ...gone, param: "previous_response_id" });
  });
});

describe("in the background", () => {
  const isOver = (status: string | undefined) => status !== "queued" && status !== "in_progress";
  const retrieve = async (id: string) => {
    const response = await client.responses.retrieve(id);
    return isOver(response.status) ? response : undefined;
  };

  test("an answer comes about without its caller, and can be gone on from", async () => {
    const begun = await client.responses.create({
      ...common,
      background: true,
      input: "What is the capital of France?",
    });
    expect(begun).toMatchObject({ status: "queued", background: true, output: [] });
    const ended = await until("the response is over", () => retrieve(begun.id), { withinMs: 60_000 });
    expect(ended).toMatchObject({
      status: expect.stringMatching(/^(completed|incomplete)$/),
      output: [{ type: "message" }],
    });
    const next = await client.responses.create({ ...common, previous_response_id: begun.id, input: "And of Italy?" });
    expect(next.status).toMatch(/completed|incomplete/);
    expect(await refusalOf(client.responses.cancel(next.id))).toMatchObject({ status: 400, code: "invalid_request" });
  });

  test("one that is cancelled stays so", async () => {
    const begun = await client.responses.create({
      ...{ ...common, max_output_tokens: 1_000, background: true, input: "Count from one to a thousand." },
    });
    expect(await client.responses.cancel(begun.id)).toMatchObject({ status: "cancelled" });
    expect(await client.responses.retrieve(begun.id)).toMatchObject({ status: "cancelled" });
  });

  test("one that is under way at a restart of everything is done after it", async () => {
    const begun = await client.responses.create({
      ...{ ...common, max_output_tokens: 300, background: true, input: "Count from one to a thousand." },
    });
    await until("it is under way", async () => {
      const { status } = await client.responses.retrieve(begun.id);
      return status === "in_progress" || undefined;
    });
    await devnet.stop();
    await start();
    const ended = await until("the response is over", () => retrieve(begun.id), { withinMs: 120_000 });
    expect(ended).toMatchObject({
      status: expect.stringMatching(/^(completed|incomplete)$/),
      output: [{ type: "message" }],
    });
  });

  test("one that no node can do has failed", async () => {
    const input = "word ".repeat(5_000);
    const begun = await client.responses.create({ ...common, background: true, input });
    const ended = await until("the response is over", () => retrieve(begun.id), { withinMs: 60_000 });
    expect(ended).toMatchObject({
      status: "failed",
      error: { code: "server_error", message: expect.stringMatching(/tokens/) },
    });
  });
});

test("what is not to be stored is not kept, and cannot be gone on from", async () => {
  const { id } = await client.responses.create({ ...common, max_output_tokens: 2, input: "Hello", store: false });
  const gone = { status: 404, code: "response_not_found" };
  expect(await refusalOf(client.responses.retrieve(id))).toMatchObject(gone);
  const goOn = client.responses.create({ ...common, previous_response_id: id, input: "Hello" });
  expect(await refusalOf(goOn)).toMatchObject({ ...gone, param: "previous_response_id" });
});

test("items of an input come page by page, in the order that is asked for", async () => {
  const input = ["one", "two", "three"].map((content) => ({ role: "user" as const, content }));
  const { id } = await client.responses.create({ ...common, max_output_tokens: 2, input });
  const textsOf = async (order: "asc" | "desc") => {
    const texts: unknown[] = [];
    for await (const item of client.responses.inputItems.list(id, { limit: 2, order })) {
      texts.push(item.type === "message" ? item.content : item);
    }
    return texts;
  };
  const asked = ["one", "two", "three"].map((text) => [{ type: "input_text", text }]);
  expect(await textsOf("asc")).toEqual(asked);
  expect(await textsOf("desc")).toEqual(asked.toReversed());
});

test("a stored response is not streamed again", async () => {
  const { id } = await client.responses.create({ ...common, max_output_tokens: 2, input: "Hello" });
  const refused = { status: 400, code: "unsupported_parameter", param: "stream" };
  expect(await refusalOf(client.responses.retrieve(id, { stream: true }))).toEqual(refused);
});

test.each<[guarantee: string, fields: object, param: string]>([
  ["a tool that is no function", { tools: [{ type: "web_search", name: "search" }] }, "tools[0].type"],
  [
    "an image",
    { input: [{ role: "user", content: [{ type: "input_image", image_url: "a" }] }] },
    "input[0].content[0].type",
  ],
  ["a result without a call", { input: [{ type: "function_call_output", call_id: "c", output: "1" }] }, "input"],
  ["reasoning", { reasoning: { effort: "high" } }, "reasoning"],
  ["a conversation object", { conversation: "conv_1" }, "conversation"],
  ["truncation", { truncation: "auto" }, "truncation"],
  ["a background stream", { background: true, stream: true }, "stream"],
])("%s is refused by name", async (_guarantee, fields, param) => {
  const response = await watched.fetch(`${devnet.baseUrl}/responses`, {
    method: "POST",
    headers: { authorization: `Bearer ${devnet.apiKey}`, "content-type": "application/json" },
    body: JSON.stringify({ model, input: "Hello", ...fields }),
  });
  expect([response.status, await response.json()]).toMatchObject([400, { error: { param, code: expect.any(String) } }]);
});

test("every body and event fitted OpenAI's own description, which refuses what is spoilt", () => {
  expect(watched.problems).toEqual([]);
  const events = [
    ...[
      "Created",
      "InProgress",
      "Completed",
      "OutputItemAdded",
      "OutputItemDone",
      "ContentPartAdded",
      "ContentPartDone",
    ],
    ...["TextDelta", "TextDone", "FunctionCallArgumentsDelta", "FunctionCallArgumentsDone"],
  ];
  expect(new Set(watched.fitting.keys())).toEqual(
    new Set(["Response", "ResponseItemList", "ErrorResponse", ...events.map((event) => `Response${event}Event`)]),
  );
  expect(watched.schemasThatTakeAll()).toEqual([]);
});
