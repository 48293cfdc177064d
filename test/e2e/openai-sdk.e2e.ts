import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { DevnetProcess, newFolder } from "./devnet-process.ts";
import { embeddingsAsNumbers } from "./embedding-numbers.ts";
import { ensurePython, runPython } from "./python.ts";
import { VendorSpec } from "./vendor-specs.ts";
import { WatchedFetch } from "./watched-fetch.ts";
import { WatchedProxy } from "./watched-proxy.ts";

const chatModel = "smollm2-135m-instruct";
const embeddingModel = "all-minilm-l6-v2";
const messages = [
  { role: "system" as const, content: "You are a helpful assistant." },
  { role: "user" as const, content: "What is the capital of France?" },
];
const texts = ["That is a happy person", "That is a very happy person", "Today is a sunny day"];

let devnet: DevnetProcess;
let client: OpenAI;
let watched: { node: WatchedFetch; python: WatchedFetch };
let proxy: WatchedProxy;
/** Bodies of the requests that the SDK sent, newest last. */
const sent: unknown[] = [];

const error = "ErrorResponse";
const schemas = {
  "/v1/chat/completions": {
    ...{ body: "CreateChatCompletionResponse", event: "CreateChatCompletionStreamResponse", error },
  },
  "/v1/embeddings": { body: "CreateEmbeddingResponse", error, heldAs: embeddingsAsNumbers },
  "/v1/models": { body: "ListModelsResponse", error },
  [`/v1/models/${chatModel}`]: { body: "Model", error },
};

beforeAll(async () => {
  const spec = await VendorSpec.load("openai");
  const watch = () =>
    new WatchedFetch(spec, (_, asked) => Object.entries(schemas).find(([path]) => path === asked)?.[1] ?? { error });
  watched = { node: watch(), python: watch() };
  devnet = await DevnetProcess.start({ folder: newFolder(), models: [chatModel, embeddingModel], cache: "shared" });
  client = new OpenAI({
    baseURL: devnet.baseUrl,
    apiKey: devnet.apiKey,
    maxRetries: 0,
    fetch: (url, init) => {
      if (typeof init?.body === "string") sent.push(JSON.parse(init.body));
      return watched.node.fetch(url, init);
    },
  });
  proxy = await WatchedProxy.start(devnet.origin, watched.python);
});
afterAll(async () => {
  await proxy.close();
  await devnet.remove();
});

/** Cosine of the angle between two vectors of one length. */
function cosine(left: readonly number[], right: readonly number[]): number {
  const dot = (one: readonly number[], other: readonly number[]) =>
    one.reduce((sum, value, index) => sum + value * (other[index] ?? 0), 0);
  return dot(left, right) / Math.sqrt(dot(left, left) * dot(right, right));
}

/** The similarities that the model's own authors publish for these texts. */
function expectPublishedSimilarities([happy = [], veryHappy = [], sunny = []]: readonly (readonly number[])[]): void {
  expect([happy.length, veryHappy.length, sunny.length]).toEqual([384, 384, 384]);
  expect(Math.abs(cosine(happy, veryHappy) - 0.943)).toBeLessThan(0.005);
  expect(Math.abs(cosine(happy, sunny) - 0.257)).toBeLessThan(0.005);
}

const chunkSchema = z.object({
  id: z.string(),
  object: z.literal("chat.completion.chunk"),
  created: z.int(),
  model: z.string(),
  choices: z.array(
    z.object({
      index: z.literal(0),
      delta: z.object({ role: z.string().nullish(), content: z.string().nullish() }),
      finish_reason: z.string().nullable(),
    }),
  ),
  usage: z.object({ prompt_tokens: z.int(), completion_tokens: z.int(), total_tokens: z.int() }).nullish(),
});
type Chunk = z.infer<typeof chunkSchema>;

/** Checks a stream as OpenAI's reference describes one with `include_usage`, and returns its text. */
function expectWholeStream(chunks: readonly Chunk[]): string {
  const [first] = chunks;
  const last = chunks.at(-1);
  const beforeLast = chunks.at(-2);
  expect(first?.choices[0]?.delta.role).toBe("assistant");
  expect(chunks.slice(1).filter((chunk) => chunk.choices[0]?.delta.role != null)).toEqual([]);
  expect(new Set(chunks.map(({ id, created, model }) => `${id} ${created} ${model}`)).size).toBe(1);
  expect(beforeLast?.choices[0]?.finish_reason).toBe("stop");
  expect(chunks.slice(0, -2).every((chunk) => chunk.choices[0]?.finish_reason === null)).toBe(true);
  expect(last?.choices).toEqual([]);
  expect(chunks.slice(0, -1).every((chunk) => chunk.usage == null)).toBe(true);
  const { prompt_tokens = 0, completion_tokens = 0, total_tokens = 0 } = last?.usage ?? {};
  expect(prompt_tokens).toBeGreaterThan(0);
  expect(completion_tokens).toBeGreaterThan(0);
  expect(total_tokens).toBe(prompt_tokens + completion_tokens);
  return chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
}

describe("the openai package for Node, given only a URL and a key", () => {
  test("lists the models and retrieves one", async () => {
    const listed: OpenAI.Model[] = [];
    for await (const model of client.models.list()) listed.push(model);
    expect(listed.map((model) => model.id).sort()).toEqual([embeddingModel, chatModel]);
    const retrieved = await client.models.retrieve(chatModel);
    expect(retrieved).toMatchObject({ id: chatModel, object: "model", owned_by: expect.any(String) });
    expect(Math.abs(retrieved.created - Date.now() / 1_000)).toBeLessThan(3_600);
  });

  test("gets a whole answer that is right", async () => {
    const answer = await client.chat.completions.create({ model: chatModel, messages, temperature: 0, max_tokens: 32 });
    expect(answer).toMatchObject({
      object: "chat.completion",
      model: chatModel,
      id: expect.stringMatching(/^chatcmpl-/),
    });
    expect(answer.choices).toHaveLength(1);
    expect(answer.choices[0]).toMatchObject({ index: 0, finish_reason: "stop", message: { role: "assistant" } });
    expect(answer.choices[0]?.message.content).toContain("Paris");
    const { prompt_tokens = 0, completion_tokens = 0, total_tokens } = answer.usage ?? {};
    expect(total_tokens).toBe(prompt_tokens + completion_tokens);
  });

  test("gets the same answer as a stream: role first, one id, finish reason, counts last", async () => {
    const order = { model: chatModel, messages, temperature: 0, max_tokens: 32 };
    const stream = await client.chat.completions.create({
      ...order,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks: Chunk[] = [];
    for await (const chunk of stream) chunks.push(chunkSchema.parse(chunk));
    const whole = await client.chat.completions.create(order);
    expect(expectWholeStream(chunks)).toBe(whole.choices[0]?.message.content);
    expect(chunks.at(-1)?.usage).toEqual(whole.usage);
  });

  test("a stream that does not ask for counts has none", async () => {
    const stream = await client.chat.completions.create({ model: chatModel, messages, max_tokens: 4, stream: true });
    for await (const chunk of stream) {
      expect(chunk.choices).toHaveLength(1);
      expect(chunk.usage ?? null).toBeNull();
    }
  });

  test("gets embeddings whose similarities are the model's own, as base64 and as numbers alike", async () => {
    const asDefault = await client.embeddings.create({ model: embeddingModel, input: texts });
    expect(sent.at(-1)).toMatchObject({ encoding_format: "base64" });
    const asFloat = await client.embeddings.create({ model: embeddingModel, input: texts, encoding_format: "float" });
    expect(sent.at(-1)).toMatchObject({ encoding_format: "float" });
    const vectors = asDefault.data.map((each) => each.embedding);
    expectPublishedSimilarities(vectors);
    expect(asFloat.data.map((each) => each.embedding)).toEqual(vectors);
    expect(asDefault.data.map((each) => each.index)).toEqual([0, 1, 2]);
    expect(asDefault.usage).toEqual(asFloat.usage);
  });

  test("a lone text has the vector that it has among others", async () => {
    const [among] = (await client.embeddings.create({ model: embeddingModel, input: texts })).data;
    const [alone] = (await client.embeddings.create({ model: embeddingModel, input: texts[0] ?? "" })).data;
    expect(cosine(alone?.embedding ?? [], among?.embedding ?? [])).toBeGreaterThan(0.9999);
  });

  test("a refusal arrives as the package's own error, with status, code and request id", async () => {
    const stranger = new OpenAI({
      ...{ baseURL: devnet.baseUrl, apiKey: "sk-wrong", maxRetries: 0, fetch: watched.node.fetch },
    });
    const error = await stranger.models.list().then(
      () => undefined,
      (caught: unknown) => caught,
    );
    if (!(error instanceof OpenAI.AuthenticationError)) throw new Error(`It is ${String(error)}.`);
    expect(error).toMatchObject({ status: 401, code: "invalid_api_key" });
    expect(error.requestID).toMatch(/^req_/);
  });
});

describe("the openai package for Python, given only a URL and a key", () => {
  const resultSchema = z.object({
    models: z.array(z.string()),
    retrieved: z.string(),
    whole: z.object({
      choices: z.array(z.object({ finish_reason: z.string(), message: z.object({ content: z.string() }) })),
      usage: z.object({ prompt_tokens: z.int(), completion_tokens: z.int(), total_tokens: z.int() }),
    }),
    chunks: z.array(chunkSchema),
    default: z.array(z.array(z.number())),
    floats: z.array(z.array(z.number())),
    embeddingUsage: z.object({ prompt_tokens: z.int(), total_tokens: z.int() }),
    wrongKey: z.object({ status: z.int(), code: z.string() }).nullable(),
  });
  let result: z.infer<typeof resultSchema>;

  beforeAll(async () => {
    const { apiKey } = devnet;
    const { baseUrl } = proxy;
    const asked = { baseUrl, apiKey, chatModel, embeddingModel, messages, texts };
    result = resultSchema.parse(await runPython(ensurePython(), "openai_client.py", asked));
  });

  test("lists the models and retrieves one", () => {
    expect(result.models.sort()).toEqual([embeddingModel, chatModel]);
    expect(result.retrieved).toBe(chatModel);
  });

  test("gets a whole answer that is right, and the same as a stream", () => {
    const [choice] = result.whole.choices;
    expect(choice).toMatchObject({ finish_reason: "stop", message: { content: expect.stringContaining("Paris") } });
    expect(expectWholeStream(result.chunks)).toBe(choice?.message.content);
    expect(result.chunks.at(-1)?.usage).toEqual(result.whole.usage);
  });

  test("gets embeddings whose similarities are the model's own, as base64 and as numbers alike", () => {
    expectPublishedSimilarities(result.default);
    // The package reads base64 as 32-bit numbers and JSON as 64-bit ones.
    expect(result.floats.map((vector) => [...new Float32Array(vector)])).toEqual(
      result.default.map((vector) => [...new Float32Array(vector)]),
    );
    expect(result.embeddingUsage.prompt_tokens).toBeGreaterThan(0);
  });

  test("a wrong key is the package's AuthenticationError", () => {
    expect(result.wrongKey).toEqual({ status: 401, code: "invalid_api_key" });
  });
});

test.each([
  ["Node", "node"],
  ["Python", "python"],
] as const)(
  "all that the package for %s was answered fitted OpenAI's own description, which refuses what is spoilt",
  (_, of) => {
    expect(watched[of].problems).toEqual([]);
    const names = Object.values(schemas).flatMap((each) =>
      ["body", "event", "error"].flatMap((what) => Reflect.get(each, what) ?? []),
    );
    expect(new Set(watched[of].fitting.keys())).toEqual(new Set(names));
    expect(watched[of].schemasThatTakeAll()).toEqual([]);
  },
);
