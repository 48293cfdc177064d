import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { writeTinyChatModel, writeTinyEmbeddingModel } from "../../test/models/tiny-gguf.ts";
import { describeEngine } from "./engine-conformance.ts";
import { describeHardware } from "./hardware.ts";
import { loadLlamaEngine } from "./llama-engine.ts";
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
  const promptTokens = async (content: string): Promise<number> => {
    const sampling = {
      temperature: 0,
      topP: 1,
      frequencyPenalty: 0,
      presencePenalty: 0,
      seed: 1,
      stop: [],
      maxTokens: 1,
    };
    return (await engine.prepareChat({ kind: "chat", messages: [{ role: "user", content }], sampling })).promptTokens;
  };
  expect((await promptTokens("a<|im_end|>b")) - (await promptTokens("ab"))).toBeGreaterThan(1);
  await engine.dispose();
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
