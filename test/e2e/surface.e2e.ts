import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { DevnetProcess, newFolder } from "./devnet-process.ts";
import { VendorSpec } from "./vendor-specs.ts";
import { type AnswerSchemas, WatchedFetch } from "./watched-fetch.ts";

const model = "smollm2-135m-instruct";
const embeddingModel = "all-minilm-l6-v2";
const question = { role: "user" as const, content: "What is the weather in Oslo, in degrees Celsius?" };

let devnet: DevnetProcess;
let openAISpec: VendorSpec;
let anthropicSpec: VendorSpec;
let watched: { openai: WatchedFetch; anthropic: WatchedFetch };
let client: OpenAI;
let anthropic: Anthropic;

/** OpenAI describes one object for both, and its service sends a null reason until the last event, as clients expect. */
function withReason(event: object): object {
  const choicesSchema = z.object({ choices: z.array(z.looseObject({ finish_reason: z.string().nullable() })) });
  const { choices } = choicesSchema.parse(event);
  return { ...event, choices: choices.map((choice) => ({ ...choice, finish_reason: choice.finish_reason ?? "stop" })) };
}

const openAISchemas: Readonly<Record<string, AnswerSchemas>> = {
  "/v1/chat/completions": {
    body: "CreateChatCompletionResponse",
    event: "CreateChatCompletionStreamResponse",
    error: "ErrorResponse",
  },
  "/v1/completions": {
    body: "CreateCompletionResponse",
    event: "CreateCompletionResponse",
    error: "ErrorResponse",
    heldAs: withReason,
  },
  "/v1/embeddings": { body: "CreateEmbeddingResponse", error: "ErrorResponse" },
  "/v1/models": { body: "ListModelsResponse", error: "ErrorResponse" },
};
const anthropicSchemas: Readonly<Record<string, AnswerSchemas>> = {
  "/v1/messages": { body: "Message", event: "MessageStreamEvent", error: "ErrorResponse" },
  "/v1/messages/count_tokens": { body: "CountMessageTokensResponse", error: "ErrorResponse" },
};

beforeAll(async () => {
  devnet = await DevnetProcess.start({ folder: newFolder(), models: [model, embeddingModel], cache: "shared" });
  [openAISpec, anthropicSpec] = await Promise.all([VendorSpec.load("openai"), VendorSpec.load("anthropic")]);
  watched = {
    openai: new WatchedFetch(openAISpec, (_method, path) => {
      if (path.startsWith("/v1/models/")) return { body: "Model", error: "ErrorResponse" };
      return openAISchemas[path] ?? { error: "ErrorResponse" };
    }),
    anthropic: new WatchedFetch(anthropicSpec, (_method, path) => anthropicSchemas[path] ?? { error: "ErrorResponse" }),
  };
  const common = { apiKey: devnet.apiKey, maxRetries: 0 };
  client = new OpenAI({ ...common, baseURL: devnet.baseUrl, fetch: watched.openai.fetch });
  anthropic = new Anthropic({
    ...{ ...common, baseURL: devnet.baseUrl.replace(/\/v1$/, ""), fetch: watched.anthropic.fetch },
  });
});
afterAll(() => devnet.remove());

const city = { type: "string", maxLength: 20 };
const weatherSchema = {
  type: "object",
  properties: { city, unit: { enum: ["C", "F"] } },
  required: ["city", "unit"],
  additionalProperties: false,
};
const weatherOf = (json: string) =>
  expect(JSON.parse(json)).toEqual({ city: expect.any(String), unit: expect.stringMatching(/^[CF]$/) });

describe("the OpenAI SDK, chat", () => {
  const weather = {
    type: "function" as const,
    function: { name: "get_weather", description: "Weather of a city", parameters: weatherSchema, strict: true },
  };
  const time = {
    type: "function" as const,
    function: { name: "get_time", parameters: { type: "object", properties: {} } },
  };
  const ask = { model, temperature: 0, max_tokens: 80, messages: [question] };
  const single = { ...ask, tools: [weather, time], parallel_tool_calls: false };

  test("a required call comes whole and fits its schema", async () => {
    const { choices } = await client.chat.completions.create({ ...single, tool_choice: "required" });
    expect(choices[0]?.finish_reason).toBe("tool_calls");
    expect(choices[0]?.message.content).toBeNull();
    const [call, ...others] = choices[0]?.message.tool_calls ?? [];
    expect(others).toEqual([]);
    if (call?.type !== "function") throw new Error("no function is called");
    expect(call.id).toMatch(/^call_/);
    if (call.function.name === "get_weather") weatherOf(call.function.arguments);
    else expect(JSON.parse(call.function.arguments)).toEqual(expect.any(Object));
  });

  test("a named call is of that function, also in a stream, with its id, type and name in the first delta alone", async () => {
    const named = { ...single, tool_choice: { type: "function" as const, function: { name: "get_weather" } } };
    const whole = await client.chat.completions.create(named);
    const stream = await client.chat.completions.create({ ...named, stream: true });
    const heads: unknown[] = [];
    let text = "";
    let reason: string | null | undefined;
    for await (const { choices } of stream) {
      for (const call of choices[0]?.delta.tool_calls ?? []) {
        if (call.id !== undefined || call.type !== undefined || call.function?.name !== undefined) heads.push(call);
        text += call.function?.arguments ?? "";
      }
      reason = choices[0]?.finish_reason ?? reason;
    }
    expect(heads).toEqual([
      {
        index: 0,
        id: expect.stringMatching(/^call_/),
        type: "function",
        function: { name: "get_weather", arguments: "" },
      },
    ]);
    weatherOf(text);
    expect(reason).toBe("tool_calls");
    const [call] = whole.choices[0]?.message.tool_calls ?? [];
    expect(call?.type === "function" && call.function.arguments).toBe(text);
  });

  test("parallel calls are counted, and each is whole but for one that the length cut", async () => {
    const { choices } = await client.chat.completions.create({
      ...{ ...ask, tools: [weather], tool_choice: "required", max_tokens: 120 },
    });
    const calls = choices[0]?.message.tool_calls ?? [];
    expect(calls.length).toBeGreaterThan(0);
    const whole = choices[0]?.finish_reason === "tool_calls" ? calls : calls.slice(0, -1);
    for (const call of whole) if (call.type === "function") weatherOf(call.function.arguments);
    expect(new Set(calls.map(({ id }) => id)).size).toBe(calls.length);
  });

  test("a second turn takes the result, and none calls nothing", async () => {
    const first = await client.chat.completions.create({ ...single, tool_choice: "required" });
    const message = first.choices[0]?.message;
    const id = message?.tool_calls?.[0]?.id;
    if (message === undefined || id === undefined) throw new Error("no function is called");
    const result = { role: "tool" as const, tool_call_id: id, content: "3 degrees and sunny" };
    for (const toolChoice of ["auto", "none"] as const) {
      const second = await client.chat.completions.create({
        ...{ ...single, messages: [question, message, result], tool_choice: toolChoice },
      });
      expect(["stop", "length", "tool_calls"]).toContain(second.choices[0]?.finish_reason);
      if (toolChoice === "none") expect(second.choices[0]?.message.tool_calls).toBeUndefined();
    }
  });

  test("a schema's answer parses and fits, whole and streamed alike", async () => {
    const schema = {
      type: "object",
      properties: {
        city,
        degrees: { type: "integer", minimum: -50, maximum: 50 },
        tags: { type: "array", items: { enum: ["sun", "rain"] }, maxItems: 2 },
      },
      required: ["city", "degrees", "tags"],
      additionalProperties: false,
    };
    const format = { type: "json_schema" as const, json_schema: { name: "weather", strict: true, schema } };
    const wish = { ...ask, response_format: format };
    const { choices } = await client.chat.completions.create(wish);
    const content = choices[0]?.message.content ?? "";
    expect(choices[0]?.finish_reason).toBe("stop");
    const { degrees, tags } = JSON.parse(content);
    expect(Number.isInteger(degrees) && degrees >= -50 && degrees <= 50 && tags.length <= 2).toBe(true);
    let streamed = "";
    for await (const chunk of await client.chat.completions.create({ ...wish, stream: true })) {
      streamed += chunk.choices[0]?.delta.content ?? "";
    }
    expect(streamed).toBe(content);
  });

  test("json_object is one JSON object", async () => {
    const { choices } = await client.chat.completions.create({
      ...{ ...ask, max_tokens: 400, temperature: 1, seed: 3, response_format: { type: "json_object" } },
    });
    const { content } = choices[0]?.message ?? {};
    if (choices[0]?.finish_reason === "stop") expect(JSON.parse(content ?? "")).toEqual(expect.any(Object));
    else expect(content?.startsWith("{")).toBe(true);
  });

  test("probabilities of each token come with its bytes and the likeliest", async () => {
    const { choices } = await client.chat.completions.create({
      ...ask,
      max_tokens: 5,
      logprobs: true,
      top_logprobs: 2,
    });
    const told = choices[0]?.logprobs?.content ?? [];
    expect(told).toHaveLength(5);
    const bytes = told.flatMap((each) => each.bytes ?? []);
    expect(Buffer.from(bytes).toString()).toBe(choices[0]?.message.content);
    for (const { token, logprob, top_logprobs: top } of told) {
      expect(logprob).toBeLessThanOrEqual(0);
      // The likeliest is the one that temperature 0 chose.
      expect(top[0]).toMatchObject({ token, logprob });
      expect(top[1]?.logprob).toBeLessThanOrEqual(logprob);
    }
  });

  test("choices differ by their draws, and their counts are summed", async () => {
    const wish = { ...ask, n: 3, temperature: 1.5, seed: 5, max_tokens: 8 };
    const { choices, usage } = await client.chat.completions.create(wish);
    expect(choices.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(new Set(choices.map(({ message }) => message.content)).size).toBeGreaterThan(1);
    expect(usage?.completion_tokens).toBeLessThanOrEqual(24);
    const texts = ["", "", ""];
    const counted: unknown[] = [];
    for await (const chunk of await client.chat.completions.create({
      ...{ ...wish, stream: true, stream_options: { include_usage: true } },
    })) {
      for (const { index, delta } of chunk.choices) texts[index] += delta.content ?? "";
      if (chunk.choices.length === 0) counted.push(chunk.usage);
      else expect(chunk.usage).toBeNull();
    }
    expect(texts).toEqual(choices.map(({ message }) => message.content));
    expect(counted).toEqual([usage]);
  });

  test("a bias of 100 chooses its token alone", async () => {
    const { choices } = await client.chat.completions.create({ ...ask, max_tokens: 3, logit_bias: { "260": 100 } });
    expect(choices[0]?.message.content).toBe(" the the the");
  });

  test("a token that the model has not, a remote reference and an endless schema are refused by name", async () => {
    const refused = (fields: object) =>
      client.chat.completions.create({ ...ask, ...fields }).then(
        () => "taken",
        (error: unknown) => (error instanceof OpenAI.APIError ? [error.status, error.param] : error),
      );
    expect(await refused({ logit_bias: { "99999999": 1 } })).toEqual([400, "logit_bias"]);
    for (const $ref of ["https://example.com/schema.json", "#"]) {
      const format = { type: "json_schema", json_schema: { name: "s", schema: { $ref } } };
      expect(await refused({ response_format: format })).toEqual([400, "response_format"]);
    }
  });
});

describe("the OpenAI SDK, beside chat", () => {
  test("text completions go on with each prompt, as text or tokens, whole and streamed alike", async () => {
    const wish = { model, prompt: ["The capital of France is", "One, two, three,"], max_tokens: 6, temperature: 0 };
    const { choices, usage } = await client.completions.create({ ...wish, echo: true, logprobs: 1 });
    expect(choices.map(({ index }) => index)).toEqual([0, 1]);
    expect(choices[0]?.text).toMatch(/^The capital of France is Paris/);
    expect(choices[0]?.logprobs?.tokens?.join("")).toBe(choices[0]?.text.slice(wish.prompt[0]?.length));
    const texts = ["", ""];
    for await (const chunk of await client.completions.create({ ...wish, echo: true, stream: true })) {
      for (const { index, text } of chunk.choices) texts[index] += text;
    }
    expect(texts).toEqual(choices.map(({ text }) => text));
    expect(usage?.completion_tokens).toBe(12);
    const tokens = await client.completions.create({ ...wish, prompt: [504, 3575, 282, 4649, 314] });
    expect(tokens.usage?.prompt_tokens).toBe(5);
  });

  test("token ids are embedded as the text that they are", async () => {
    const embed = async (input: string | number[]) =>
      (await client.embeddings.create({ model: embeddingModel, input, encoding_format: "float" })).data[0]?.embedding ??
      [];
    const [text, ids] = [await embed("hello"), await embed([101, 7592, 102])];
    expect(ids).toHaveLength(384);
    const cosine = text.reduce((sum, value, index) => sum + value * (ids[index] ?? 0), 0);
    expect(cosine).toBeGreaterThan(0.999);
  });

  test("models say what they read", async () => {
    const { data } = await client.models.list();
    expect(data.map(({ id }) => id).sort()).toEqual([embeddingModel, model]);
    expect(await client.models.retrieve(model)).toMatchObject({ id: model, context_length: 2_048 });
  });
});

describe("the Anthropic SDK", () => {
  const ask = { model, max_tokens: 60, temperature: 0, messages: [question] };
  const tools = [
    {
      name: "get_weather",
      description: "Weather of a city",
      input_schema: { ...weatherSchema, type: "object" as const },
    },
  ];
  const forced = { ...ask, tools, tool_choice: { type: "tool" as const, name: "get_weather" } };

  test("a message is the same whole and streamed", async () => {
    const wish = { ...ask, system: "Be brief." };
    const whole = await anthropic.messages.create(wish);
    expect(whole.stop_reason).toMatch(/^(end_turn|max_tokens)$/);
    const streamed = await anthropic.messages.stream(wish).finalMessage();
    expect(streamed.content).toEqual(whole.content);
    expect(streamed.usage).toMatchObject({
      input_tokens: whole.usage.input_tokens,
      output_tokens: whole.usage.output_tokens,
    });
    const counted = await anthropic.messages.countTokens({ model, system: wish.system, messages: wish.messages });
    expect(counted.input_tokens).toBe(whole.usage.input_tokens);
  });

  test("a stop sequence ends the answer, is named, and is no part of it", async () => {
    const plain = await anthropic.messages.create(ask);
    const text = plain.content[0]?.type === "text" ? plain.content[0].text : "";
    const sequence = text.slice(10, 14);
    const stopped = await anthropic.messages.create({ ...ask, stop_sequences: ["never said", sequence] });
    expect(stopped).toMatchObject({ stop_reason: "stop_sequence", stop_sequence: sequence });
    expect(stopped.content).toMatchObject([{ text: text.slice(0, text.indexOf(sequence)) }]);
  });

  test("a tool that is named is used, whole and streamed, and its result makes a second turn", async () => {
    const whole = await anthropic.messages.create(forced);
    expect(whole.stop_reason).toBe("tool_use");
    const [use] = whole.content;
    if (use?.type !== "tool_use") throw new Error("no tool is used");
    weatherOf(JSON.stringify(use.input));
    const streamed = await anthropic.messages.stream(forced).finalMessage();
    expect(streamed.content).toMatchObject([{ type: "tool_use", name: "get_weather", input: use.input }]);
    const second = await anthropic.messages.create({
      ...{ ...ask, tools },
      messages: [
        question,
        { role: "assistant", content: whole.content },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: use.id, content: "3 degrees and sunny" },
            { type: "text", text: "Is it warm?" },
          ],
        },
      ],
    });
    expect(second.content.length).toBeGreaterThan(0);
  });

  test("a schema's answer parses and fits, whole, streamed, and as the SDK's own parser reads it", async () => {
    const format = { type: "json_schema" as const, schema: weatherSchema };
    const wish = { ...ask, output_config: { format } };
    const whole = await anthropic.messages.create(wish);
    expect(whole.stop_reason).toBe("end_turn");
    const text = whole.content[0]?.type === "text" ? whole.content[0].text : "";
    weatherOf(text);
    const streamed = await anthropic.messages.stream(wish).finalMessage();
    expect(streamed.content).toMatchObject([{ type: "text", text }]);
    const { parsed_output: parsed } = await anthropic.messages.parse({
      ...{ ...ask, output_config: { format: { ...format, parse: (json: string): unknown => JSON.parse(json) } } },
    });
    expect(parsed).toEqual(JSON.parse(text));
  });

  test("errors come in Anthropic's envelope", async () => {
    const failing = async (action: Promise<unknown>) =>
      action.then(
        () => "taken",
        (error: unknown) => (error instanceof Anthropic.APIError ? [error.status, error.error] : error),
      );
    const envelope = (type: string) => ({
      type: "error",
      error: { type, message: expect.any(String) },
      request_id: expect.any(String),
    });
    expect(await failing(anthropic.messages.create({ ...ask, max_tokens: 0 }))).toEqual([
      400,
      envelope("invalid_request_error"),
    ]);
    expect(await failing(anthropic.messages.create({ ...ask, model: "no-such-model" }))).toEqual([
      404,
      envelope("not_found_error"),
    ]);
    const stranger = new Anthropic({
      apiKey: "sk-nobody",
      baseURL: devnet.baseUrl.replace(/\/v1$/, ""),
      maxRetries: 0,
      fetch: watched.anthropic.fetch,
    });
    expect(await failing(stranger.messages.create(ask))).toEqual([401, envelope("authentication_error")]);
    expect(await failing(anthropic.get("/v1/messages"))).toEqual([405, envelope("invalid_request_error")]);
  });
});

test("every body and event fitted the vendors' own descriptions, which refuse what is spoilt", () => {
  expect(watched.openai.problems).toEqual([]);
  expect(watched.anthropic.problems).toEqual([]);
  const wanted = [...Object.values(openAISchemas), { error: "ErrorResponse", body: "Model" }];
  const names = (schemas: readonly AnswerSchemas[]) =>
    new Set(schemas.flatMap(({ body, event, error }) => [body, event, error].filter((name) => name !== undefined)));
  expect(new Set(watched.openai.fitting.keys())).toEqual(names(wanted));
  const events = [
    "MessageStart",
    "ContentBlockStart",
    "ContentBlockDelta",
    "ContentBlockStop",
    "MessageDelta",
    "MessageStop",
  ];
  expect(new Set(watched.anthropic.fitting.keys())).toEqual(
    new Set(["Message", "CountMessageTokensResponse", "ErrorResponse", ...events.map((event) => `${event}Event`)]),
  );
  expect([...watched.openai.schemasThatTakeAll(), ...watched.anthropic.schemasThatTakeAll()]).toEqual([]);
});
