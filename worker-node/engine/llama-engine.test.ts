import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { writeTinyChatModel, writeTinyEmbeddingModel } from "../../test/models/tiny-gguf.ts";
import { tinyChatVocabulary } from "../../test/models/tiny-vocabulary.ts";
import { ask, prepare, user } from "./ask-engine.fixture.ts";
import { expectEveryCutToJoin } from "./continuation-conformance.ts";
import { describeEngine } from "./engine-conformance.ts";
import { describeHardware } from "./hardware.ts";
import { loadLlamaEngine } from "./llama-engine.ts";
import { writeMultiByteChatModel } from "./multi-byte-model.fixture.ts";
import { openLlama } from "./open-llama.ts";

const folder = mkdtempSync(join(tmpdir(), "llama-engine-"));
const chatPath = join(folder, "chat.gguf");
const embeddingPath = join(folder, "embedding.gguf");
writeTinyChatModel(chatPath, { seed: 1 });
writeTinyEmbeddingModel(embeddingPath, { seed: 1 });

const llama = await openLlama({ gpu: false, threads: 1 });
const slots = 3;
const load = { llama, slots, contextTokens: 256, threads: 1 };

afterAll(async () => {
  await llama.dispose();
  rmSync(folder, { recursive: true });
});

describeEngine("llama", {
  slots,
  verifiable: { endId: tinyChatVocabulary.special.turnEnd },
  makeChat: () => loadLlamaEngine({ ...load, modelPath: chatPath, kind: "chat" }),
  makeEmbedding: () => loadLlamaEngine({ ...load, modelPath: embeddingPath, kind: "embedding" }),
});

test("the context is never longer than the model was trained for", async () => {
  const engine = await loadLlamaEngine({
    ...load,
    contextTokens: 1_000_000,
    slots: 1,
    modelPath: embeddingPath,
    kind: "embedding",
  });
  expect(engine.contextTokens).toBeLessThan(1_000_000);
  await engine.dispose();
});

test("a control token's text in a message is read as text", async () => {
  const engine = await loadLlamaEngine({ ...load, modelPath: chatPath, kind: "chat" });
  const promptTokens = async (content: string): Promise<number> =>
    (await prepare(engine, { messages: [user(content)] })).promptTokens;
  expect((await promptTokens("a<|im_end|>b")) - (await promptTokens("ab"))).toBeGreaterThan(1);
  await engine.dispose();
});

test("an answer with characters of several bytes is continued from within them", async () => {
  const modelPath = join(folder, "multi-byte.gguf");
  writeMultiByteChatModel(modelPath, { seed: 3 });
  const engine = await loadLlamaEngine({ ...load, modelPath, kind: "chat" });
  const { text, pieces } = await expectEveryCutToJoin({ engine, slots }, { sampling: { maxTokens: 24 } });
  expect(text).toContain("😀");
  expect(text).toContain("\ufffd");
  expect(pieces.filter((piece) => piece.text === "").length).toBeGreaterThan(2);
  const stop = [`😀${text.charAt(text.indexOf("😀") + 2)}`];
  expect(
    (await expectEveryCutToJoin({ engine, slots }, { sampling: { maxTokens: 24, stop } })).outcome.finishReason,
  ).toBe("stop");
  await engine.dispose();
});

test("another node of the same file continues as the first would have gone on", async () => {
  const first = await loadLlamaEngine({ ...load, modelPath: chatPath, kind: "chat" });
  const second = await loadLlamaEngine({ ...load, slots: 1, modelPath: chatPath, kind: "chat" });
  const asking = { messages: [user("tell me a story")], sampling: { maxTokens: 60 } };
  const whole = await ask(first, asking);
  const head = whole.tokenIds.slice(0, 31);
  const rest = await ask(second, { ...asking, continues: head });
  expect([...head, ...rest.tokenIds]).toEqual(whole.tokenIds);
  await Promise.all([first.dispose(), second.dispose()]);
});

test("a file that is no model is refused and the instance goes on", async () => {
  await expect(loadLlamaEngine({ ...load, modelPath: join(folder, "missing.gguf"), kind: "chat" })).rejects.toThrow();
  const engine = await loadLlamaEngine({ ...load, modelPath: chatPath, kind: "chat" });
  await engine.dispose();
});

test("the machine is described with its backend's versions", async () => {
  const hardware = await describeHardware(llama);
  expect(hardware.cores).toBeGreaterThan(0);
  expect(hardware.memoryBytes).toBeGreaterThan(0);
  expect(hardware.gpu).toBeNull();
  expect(hardware.backend.nodeLlamaCpp).toMatch(/^\d+\.\d+\.\d+/);
  expect(hardware.backend.llamaCpp).not.toBe("");
});
