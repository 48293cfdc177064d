import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { HumanMessage, type MessageContent, ToolMessage } from "@langchain/core/messages";
import { tool as langChainTool } from "@langchain/core/tools";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { embedMany, generateText, isStepCount, type LanguageModel, Output, streamText, tool } from "ai";
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
const texts = ["That is a happy person", "That is a very happy person", "Today is a sunny day"];
const prompt = "What is the weather in Oslo?";
const question = "What is the capital of France?";
const placeSchema = z.strictObject({ city: z.string().max(20), size: z.enum(["small", "large"]) });
const weatherInput = z.strictObject({ city: z.string().max(20) });

let devnet: DevnetProcess;
let watched: WatchedFetch;
/** What the packages for Python were answered. */
let watchedPython: WatchedFetch;
let proxy: WatchedProxy;
beforeAll(async () => {
  const error = "ErrorResponse";
  const schemas = {
    "/v1/chat/completions": {
      ...{ body: "CreateChatCompletionResponse", event: "CreateChatCompletionStreamResponse", error },
    },
    "/v1/embeddings": { body: "CreateEmbeddingResponse", error, heldAs: embeddingsAsNumbers },
    "/v1/responses": { body: "Response", event: "ResponseStreamEvent", error },
  };
  const spec = await VendorSpec.load("openai");
  const schemasOf = (_method: string, path: string) =>
    Object.entries(schemas).find(([known]) => known === path)?.[1] ?? { error };
  watched = new WatchedFetch(spec, schemasOf);
  watchedPython = new WatchedFetch(spec, schemasOf);
  devnet = await DevnetProcess.start({ folder: newFolder(), models: [chatModel, embeddingModel], cache: "shared" });
  proxy = await WatchedProxy.start(devnet.origin, watchedPython);
});
afterAll(async () => {
  await proxy.close();
  await devnet.remove();
});

const cosine = ([left = [], right = []]: readonly (readonly number[])[]) => {
  const dot = (one: readonly number[], other: readonly number[]) =>
    one.reduce((sum, value, index) => sum + value * (other[index] ?? 0), 0);
  return dot(left, right) / Math.sqrt(dot(left, left) * dot(right, right));
};

describe.each(["@ai-sdk/openai-compatible", "@ai-sdk/openai", "@ai-sdk/openai chat"] as const)(
  "the AI SDK, %s",
  (provider) => {
    function model(): LanguageModel {
      const settings = { baseURL: devnet.baseUrl, apiKey: devnet.apiKey, fetch: watched.fetch };
      if (provider === "@ai-sdk/openai-compatible") {
        const options = { ...settings, name: "cortensor", includeUsage: true, supportsStructuredOutputs: true };
        return createOpenAICompatible(options).chatModel(chatModel);
      }
      const openai = createOpenAI(settings);
      return provider === "@ai-sdk/openai" ? openai.responses(chatModel) : openai.chat(chatModel);
    }
    const common = () => ({ model: model(), temperature: 0, maxOutputTokens: 60, maxRetries: 0 });

    test("chats, whole and streamed alike", async () => {
      const whole = await generateText({ ...common(), prompt: question });
      expect(whole.text.length).toBeGreaterThan(0);
      const stream = streamText({ ...common(), prompt: question });
      let text = "";
      for await (const piece of stream.textStream) text += piece;
      expect(text).toBe(whole.text);
      const [one, other] = [await stream.usage, whole.usage];
      expect([one.inputTokens, one.outputTokens]).toEqual([other.inputTokens, other.outputTokens]);
    });

    test("calls a tool and takes a second turn with its result, whole and streamed", async () => {
      const asked: string[] = [];
      const weather = tool({
        description: "Weather of a city",
        inputSchema: weatherInput,
        execute: ({ city }) => {
          asked.push(city);
          return "3 degrees and sunny";
        },
      });
      // The first step must call; the second is the model's own.
      const steps = {
        tools: { weather },
        stopWhen: isStepCount(2),
        prepareStep: ({ stepNumber }: { stepNumber: number }) => ({
          toolChoice: stepNumber === 0 ? { type: "tool" as const, toolName: "weather" as const } : ("none" as const),
        }),
      };
      const whole = await generateText({ ...common(), ...steps, prompt });
      expect(whole.steps.map((step) => step.toolCalls.length > 0)).toEqual([true, false]);
      const stream = streamText({ ...common(), ...steps, prompt });
      await stream.consumeStream();
      expect((await stream.steps).map((step) => step.toolCalls.length > 0)).toEqual([true, false]);
      expect(asked.length).toBeGreaterThanOrEqual(2);
    });

    test("gets what a schema asks for", async () => {
      const { output } = await generateText({
        ...{ ...common(), prompt: "Name a city.", output: Output.object({ schema: placeSchema }) },
      });
      expect(placeSchema.parse(output)).toEqual(output);
    });
  },
);

test("the AI SDK embeds", async () => {
  const settings = { baseURL: devnet.baseUrl, apiKey: devnet.apiKey, fetch: watched.fetch };
  for (const model of [
    createOpenAICompatible({ ...settings, name: "cortensor" }).embeddingModel(embeddingModel),
    createOpenAI(settings).embedding(embeddingModel),
  ]) {
    const { embeddings } = await embedMany({ model, values: texts, maxRetries: 0 });
    expect(Math.abs(cosine(embeddings) - 0.943)).toBeLessThan(0.005);
  }
});

describe("LangChain for JavaScript", () => {
  const model = (more: object = {}) =>
    new ChatOpenAI({
      ...{ model: chatModel, apiKey: devnet.apiKey, temperature: 0, maxTokens: 60, maxRetries: 0, ...more },
      configuration: { baseURL: devnet.baseUrl, fetch: watched.fetch },
    });
  const textOf = (content: MessageContent) => (typeof content === "string" ? content : JSON.stringify(content));

  test("chats, whole and streamed alike", async () => {
    const whole = await model().invoke(question);
    let text = "";
    for await (const chunk of await model().stream(question)) text += textOf(chunk.content);
    expect(text).toBe(textOf(whole.content));
    expect(text.length).toBeGreaterThan(0);
  });

  test("calls a tool and takes a second turn with its result", async () => {
    const weather = langChainTool(() => "3 degrees and sunny", {
      ...{ name: "weather", description: "Weather of a city", schema: weatherInput },
    });
    const bound = model().bindTools([weather], { tool_choice: "weather" });
    const first = await bound.invoke(prompt);
    const [call] = first.tool_calls ?? [];
    if (call === undefined) throw new Error("nothing is called");
    expect(weatherInput.parse(call.args)).toEqual(call.args);
    const result = new ToolMessage({ content: "3 degrees and sunny", tool_call_id: call.id ?? "" });
    const second = await model().invoke([new HumanMessage(prompt), first, result]);
    expect(textOf(second.content).length).toBeGreaterThan(0);
  });

  test("gets what a schema asks for, and embeds", async () => {
    const structured = model().withStructuredOutput(placeSchema, { method: "jsonSchema", strict: true });
    expect(placeSchema.safeParse(await structured.invoke("Name a city.")).success).toBe(true);
    const embeddings = new OpenAIEmbeddings({
      ...{ model: embeddingModel, apiKey: devnet.apiKey, maxRetries: 0, encodingFormat: "float" },
      configuration: { baseURL: devnet.baseUrl, fetch: watched.fetch },
    });
    expect(Math.abs(cosine(await embeddings.embedDocuments(texts)) - 0.943)).toBeLessThan(0.005);
  });
});

test("packages for Python: openai and langchain-openai chat, stream, call tools and keep to schemas", async () => {
  const resultSchema = z.object({
    openai: z.object({
      call: weatherInput,
      second: z.string(),
      place: placeSchema,
      response: z.string(),
      deltas: z.string(),
    }),
    langchain: z.object({
      whole: z.string().min(1),
      streamed: z.string(),
      call: weatherInput,
      second: z.string(),
      place: placeSchema,
      vectors: z.array(z.array(z.number())),
    }),
  });
  const { apiKey } = devnet;
  const { baseUrl } = proxy;
  const { openai, langchain } = resultSchema.parse(
    await runPython(ensurePython(), "clients.py", {
      baseUrl,
      apiKey,
      chatModel,
      embeddingModel,
      prompt,
      question,
      texts,
    }),
  );
  expect(langchain.streamed).toBe(langchain.whole);
  expect(openai.response.length).toBeGreaterThan(0);
  expect(openai.deltas).toBe(openai.response);
  expect(Math.abs(cosine(langchain.vectors) - 0.943)).toBeLessThan(0.005);
}, 400_000);

test.each([
  ["for JavaScript", () => watched],
  ["for Python", () => watchedPython],
])("all that the packages %s were answered fitted OpenAI's own description, which refuses what is spoilt", (_, of) => {
  expect(of().problems).toEqual([]);
  // And a last one, which is of a completed response or of one that the length cut.
  const events = ["Created", "InProgress", "OutputItemAdded", "OutputItemDone", "TextDelta", "TextDone"];
  expect([...of().fitting.keys()]).toEqual(
    expect.arrayContaining([
      ...["CreateChatCompletionResponse", "CreateChatCompletionStreamResponse", "CreateEmbeddingResponse"],
      ...events.map((event) => `Response${event}Event`),
    ]),
  );
  expect(of().schemasThatTakeAll()).toEqual([]);
});
