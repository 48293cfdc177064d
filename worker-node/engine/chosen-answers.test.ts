import { afterAll, describe, expect, test } from "vitest";
import { CallParser } from "../../core/chat/call-parser.ts";
import type { ChatInput, JsonSchema } from "../../core/wire/task-input.ts";
import { defaultCacheDir } from "../models/cache-dir.ts";
import { listModels, resolveModel } from "../models/store.ts";
import { type Answer, ask, headOf, prepare, user } from "./ask-engine.fixture.ts";
import { loadLlamaEngine } from "./llama-engine.ts";
import { openLlama } from "./open-llama.ts";

const name = "smollm2-135m-instruct";
const cacheDir = defaultCacheDir();
const isHeld = (await listModels({ cacheDir })).some((model) => model.name === name && model.state === "held");

// Needs the pulled model (98 MB), which a unit test does not fetch: `cortensor-node models pull smollm2-135m-instruct`.
describe.skipIf(!isHeld)("answers whose tokens are chosen one by one", async () => {
  const llama = await openLlama({ gpu: false, threads: 1 });
  const modelPath = isHeld ? (await resolveModel(name, { cacheDir })).path : "";
  const engine = await loadLlamaEngine({
    ...({ llama, modelPath, kind: "chat", contextTokens: 1_024, threads: 1, slots: 2 } as const),
  });
  afterAll(async () => {
    await engine.dispose();
    await llama.dispose();
  });

  const schema: JsonSchema = {
    type: "object",
    properties: { city: { type: "string", maxLength: 12 }, size: { enum: ["small", "large"] } },
    required: ["city", "size"],
    additionalProperties: false,
  };
  const format: ChatInput["format"] = { type: "json_schema", schema };
  const place = { city: expect.any(String), size: expect.stringMatching(/^(small|large)$/) };
  const messages = [user("Name a city.")];

  test("asking for probabilities changes no token, though the likeliest are read another way", async () => {
    for (const [seed, temperature] of [0, 1].entries()) {
      const asked = { messages: [user("Tell me a story.")], sampling: { maxTokens: 24, temperature, seed } };
      const told = await ask(engine, { ...asked, sampling: { ...asked.sampling, logprobs: { top: 0 } } });
      expect(told.tokenIds).toEqual((await ask(engine, asked)).tokenIds);
    }
  }, 120_000);

  test("probabilities are those of the whole vocabulary: the likeliest beside them never more than what is left", async () => {
    const { pieces } = await ask(engine, { sampling: { maxTokens: 8, logprobs: { top: 20 } } });
    const told = pieces.flatMap((piece) => piece.logprobs ?? []);
    expect(told).toHaveLength(8);
    for (const { id, logprob, top } of told) {
      expect(top).toHaveLength(20);
      expect(top[0]).toMatchObject({ id, logprob });
      const sum = top.reduce((total, each) => total + Math.exp(each.logprob), 0);
      expect(sum).toBeGreaterThan(Math.exp(logprob) * 0.999_999);
      expect(sum).toBeLessThan(1.000_1);
      expect(top.map((each) => each.logprob)).toEqual(
        top.map((each) => each.logprob).toSorted((one, other) => other - one),
      );
    }
  });

  test("a schema is kept to at every temperature, also by answers side by side", async () => {
    const answers = await Promise.all(
      [0, 1, 2, 2].map((temperature, seed) =>
        ask(engine, { messages, input: { format }, sampling: { temperature, seed, maxTokens: 60 } }),
      ),
    );
    for (const { text, outcome } of answers) {
      expect(outcome.finishReason).toBe("stop");
      expect(JSON.parse(text)).toEqual(place);
    }
  });

  test("an answer under a schema is continued from any of its tokens to the same end, with the same draws", async () => {
    const asked = { messages, input: { format }, sampling: { temperature: 1.5, seed: 4, maxTokens: 60 } };
    const whole = await ask(engine, asked);
    for (const cut of [1, 4, whole.tokenIds.length - 1]) {
      const head = headOf(whole, cut);
      const rest = await ask(engine, { ...asked, continues: head.tokenIds });
      expect(head.text + rest.text).toBe(whole.text);
    }
  });

  test("a continuation that is none of the schema's is refused", async () => {
    const free = await ask(engine, { messages, sampling: { maxTokens: 3 } });
    await expect(ask(engine, { messages, input: { format }, continues: free.tokenIds })).rejects.toThrow(
      /does not fit/,
    );
  });

  test("a stop string ends an answer under a schema too", async () => {
    const { text, outcome } = await ask(engine, {
      ...{ messages, input: { format }, sampling: { maxTokens: 60, stop: ['"size"'] } },
    });
    expect(outcome).toMatchObject({ finishReason: "stop", stopSequence: '"size"' });
    expect(text).toMatch(/^\{"city": "[^"]*", $/);
  });

  const tools: ChatInput["tools"] = [
    { name: "find", description: "Finds a city", parameters: schema, isStrict: true },
    { name: "leave", parameters: { type: "object", properties: {}, additionalProperties: false }, isStrict: true },
  ];
  const callsOf = ({ text }: Answer) => {
    const parser = new CallParser();
    return [...parser.push(text), ...parser.flush()];
  };

  test("a required call comes from the first token on, and a named one is of that name", async () => {
    for (const [toolChoice, names] of [
      ["required", ["find", "leave"]],
      [{ name: "leave" }, ["leave"]],
    ] as const) {
      const answer = await ask(engine, {
        ...{ messages, input: { tools, toolChoice, isSingleCall: true }, sampling: { maxTokens: 80, temperature: 1 } },
      });
      expect(answer.outcome.finishReason).toBe("stop");
      const [call, ...rest] = callsOf(answer);
      expect(call?.type === "call" && names).toContain(call?.type === "call" && call.name);
      const json = rest.map((part) => (part.type === "arguments" ? part.text : "?")).join("");
      expect(JSON.parse(json)).toEqual(call?.type === "call" && call.name === "find" ? place : {});
    }
  });

  test("a bias forbids and forces, and one for no token is refused by name", async () => {
    const [first = 0] = (await ask(engine, { sampling: { maxTokens: 1 } })).tokenIds;
    const without = await ask(engine, { sampling: { maxTokens: 1, logitBias: [[first, -100]] } });
    expect(without.tokenIds[0]).not.toBe(first);
    expect((await ask(engine, { sampling: { maxTokens: 2, logitBias: [[260, 100]] } })).tokenIds).toEqual([260, 260]);
    await expect(prepare(engine, { sampling: { logitBias: [[49_152, 1]] } })).rejects.toMatchObject({
      param: "logit_bias",
    });
  });

  test("a cancelled answer under a schema keeps what came, and its slot is free", async () => {
    const controller = new AbortController();
    const { outcome, tokenIds } = await ask(engine, {
      ...{ messages, input: { format }, sampling: { maxTokens: 60 }, signal: controller.signal },
      onPiece: (count) => void (count === 3 && controller.abort()),
    });
    expect(outcome.finishReason).toBe("cancelled");
    expect(tokenIds.length).toBeLessThanOrEqual(4);
    expect(JSON.parse((await ask(engine, { messages, input: { format }, sampling: { maxTokens: 60 } })).text)).toEqual(
      place,
    );
  });
});
