import { afterAll, describe, expect, test } from "vitest";
import type { ChatMessage } from "../../core/wire/task-input.ts";
import { defaultCacheDir } from "../models/cache-dir.ts";
import { listModels, resolveModel } from "../models/store.ts";
import { type Asking, ask, user } from "./ask-engine.fixture.ts";
import { check, claimOf, meanMargin, withSampling } from "./check-conformance.ts";
import { expectEveryCutToJoin } from "./continuation-conformance.ts";
import { loadLlamaEngine } from "./llama-engine.ts";
import { openLlama } from "./open-llama.ts";

const name = "smollm2-135m-instruct";
const cacheDir = defaultCacheDir();
const isHeld = (await listModels({ cacheDir })).some((model) => model.name === name && model.state === "held");

// Needs the pulled model (98 MB), which a unit test does not fetch: `cortensor-node models pull smollm2-135m-instruct`.
describe.skipIf(!isHeld)("SmolLM2", async () => {
  const llama = await openLlama({ gpu: false, threads: 1 });
  const modelPath = isHeld ? (await resolveModel(name, { cacheDir })).path : "";
  const load = { llama, modelPath, kind: "chat", contextTokens: 1_024, threads: 1 } as const;
  const engine = await loadLlamaEngine({ ...load, slots: 1 });
  afterAll(async () => {
    await engine.dispose();
    await llama.dispose();
  });

  // Answers that the model is sure of: the second likeliest token is much farther away than other kernels' rounding.
  test("an answer is continued from within its characters and within a stop string", async () => {
    const messages = [user("Repeat this: 😀😀😀😀😀😀")];
    const cuts = [2, 10];
    const sampling = { maxTokens: 18, frequencyPenalty: 0.01 };
    const { text } = await expectEveryCutToJoin({ engine, slots: 1 }, { messages, sampling }, cuts);
    expect(text).toBe("😀".repeat(6));
    const stopped = { messages, sampling: { maxTokens: 18, stop: ["😀".repeat(4)] } };
    const whole = await expectEveryCutToJoin({ engine, slots: 1 }, stopped, [8]);
    expect([whole.text, whole.outcome.finishReason]).toEqual(["", "stop"]);
  }, 120_000);

  test("an answer that ends by itself is continued to its own end", async () => {
    const messages: ChatMessage[] = [{ role: "system", content: "Echo." }, user("Repeat after me: 猫 😀 é 猫 😀 é")];
    const { outcome } = await expectEveryCutToJoin(
      { engine, slots: 1 },
      { messages, sampling: { maxTokens: 20 } },
      [1],
    );
    expect(outcome.finishReason).toBe("stop");
  }, 120_000);

  const story = { messages: [user("Tell me a story about a lighthouse keeper.")] };
  const place = {
    type: "object",
    properties: { city: { type: "string", maxLength: 12 }, size: { enum: ["small", "large"] } },
    required: ["city", "size"],
    additionalProperties: false,
  };

  test.each<[name: string, asking: Asking]>([
    ["at temperature 0", { ...story, sampling: { maxTokens: 32 } }],
    ["at temperature 1", { ...story, sampling: { temperature: 1, seed: 3, maxTokens: 32 } }],
    ["with penalties", { ...story, sampling: { temperature: 0.8, frequencyPenalty: 0.7, seed: 4, maxTokens: 32 } }],
    [
      "under a schema",
      {
        messages: [user("Name a city.")],
        input: { format: { type: "json_schema", schema: place } },
        sampling: { temperature: 1, seed: 5, maxTokens: 60 },
      },
    ],
    ["that ends by itself", { messages: [user("Repeat after me: 猫 😀 é")], sampling: { maxTokens: 20 } }],
  ])(
    "an honest answer %s has a mean margin of hundredths",
    async (_name, asking) => {
      const answer = await ask(engine, asking);
      const report = await check(engine, claimOf(asking, answer));
      expect(report).toMatchObject({ isTextOfTokens: true, isEndRight: true });
      expect(meanMargin(report)).toBeLessThan(0.05);
    },
    120_000,
  );

  test("another seed, another temperature, another system prompt and an end too soon are far above it", async () => {
    const asking = { ...story, sampling: { temperature: 1, seed: 3, maxTokens: 32 } };
    const honest = claimOf(asking, await ask(engine, asking));
    expect(meanMargin(await check(engine, withSampling(honest, { seed: 4 })))).toBeGreaterThan(0.5);
    expect(meanMargin(await check(engine, withSampling(honest, { temperature: 0 })))).toBeGreaterThan(0.3);
    expect(meanMargin(await check(engine, withSampling(honest, { temperature: 0.5 })))).toBeGreaterThan(0.1);
    const messages: ChatMessage[] = [
      { role: "system", content: "You are a pirate. Answer in French, in one word." },
      ...story.messages,
    ];
    const other = { ...honest, of: { kind: "chat", messages, sampling: honest.of.sampling } as const };
    expect(meanMargin(await check(engine, other))).toBeGreaterThan(0.1);
    const tokenIds = honest.tokenIds.slice(0, 20);
    const end = await check(engine, { ...honest, tokenIds, finishReason: "stop", positions: [20] });
    expect(end.findings[0]?.margin).toBeGreaterThan(1);
  }, 240_000);

  test("prompts cancelled while they are read use less than a second more", async () => {
    const slots = 4;
    const engine = await loadLlamaEngine({ ...load, slots });
    const controller = new AbortController();
    const { signal } = controller;
    const text = "the quick brown fox jumps over the lazy dog ".repeat(90);
    const reading = Array.from({ length: slots - 1 }, (_, place) =>
      ask(engine, { messages: [user(`${place} ${text}`)], signal }),
    );
    // A short prompt in the last slot is through while the long ones, 900 tokens each, have far to go.
    let abortedAtMs = 0;
    const onPiece = () => {
      if (signal.aborted) return;
      abortedAtMs = cpuMs();
      controller.abort();
    };
    await ask(engine, { sampling: { maxTokens: 1 }, onPiece });
    const answers = await Promise.all(reading);
    // CPU time, since other programs may make every second longer.
    expect(cpuMs() - abortedAtMs).toBeLessThan(1_000);
    for (const { outcome } of answers)
      expect(outcome).toMatchObject({ finishReason: "cancelled", completionTokens: 0 });
    await engine.dispose();
  }, 120_000);
});

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
