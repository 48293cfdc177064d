import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { modelHashSchema } from "../../core/ids.ts";
import { writeTinyChatModel } from "../../test/models/tiny-gguf.ts";
import type { Engine } from "../engine/engine.ts";
import { loadLlamaEngine } from "../engine/llama-engine.ts";
import { openLlama } from "../engine/open-llama.ts";
import { checkOneself } from "./check-oneself.ts";

const folder = mkdtempSync(join(tmpdir(), "check-oneself-"));
const llama = await openLlama({ gpu: false, threads: 1 });
const model = modelHashSchema.parse("a".repeat(64));
const engines: Engine[] = [];
beforeAll(async () => {
  for (const seed of [1, 2]) {
    const modelPath = join(folder, `${seed}.gguf`);
    writeTinyChatModel(modelPath, { seed });
    const options = { llama, modelPath, kind: "chat", slots: 1, contextTokens: 128, threads: 1 } as const;
    engines.push(await loadLlamaEngine(options));
  }
});
afterAll(async () => {
  for (const engine of engines) await engine.dispose();
  await llama.dispose();
  rmSync(folder, { recursive: true });
});

test("a sound engine's answer is plausible to itself", async () => {
  const [sound] = engines;
  if (sound === undefined) throw new Error("there are two engines");
  const { outcome, meanMargin, threshold } = await checkOneself(sound, model);
  expect(outcome).toBe("plausible");
  expect(meanMargin).toBeLessThan(0.05);
  expect(meanMargin).toBeLessThan(threshold);
});

test("an engine that computes otherwise when it reads than when it answers is found", async () => {
  const [answers, reads] = engines;
  if (answers === undefined || reads === undefined) throw new Error("there are two engines");
  const broken: Engine = {
    ...{ kind: "chat", contextTokens: 128, dimensions: undefined },
    prepareChat: (...input) => answers.prepareChat(...input),
    prepareCheck: (input) => reads.prepareCheck(input),
    prepareEmbedding: (input) => answers.prepareEmbedding(input),
    measureTokensPerSecond: async () => 1,
    dispose: async () => {},
  };
  const { outcome, meanMargin } = await checkOneself(broken, model);
  expect(outcome).toBe("implausible");
  expect(meanMargin).toBeGreaterThan(0.3);
});
