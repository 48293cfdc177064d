import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { quantizeGguf } from "../../bench/trust/quantize-gguf.ts";
import { modelHashSchema } from "../../core/ids.ts";
import { calibrationOf } from "../../core/validation/calibration.ts";
import { writeTinyChatModel } from "../../test/models/tiny-gguf.ts";
import { tinyChatVocabulary } from "../../test/models/tiny-vocabulary.ts";
import { writeReadingCopy } from "../models/reading-copy.ts";
import { ask, user } from "./ask-engine.fixture.ts";
import { check, claimOf, describeCheck, meanMargin, withSampling } from "./check-conformance.ts";
import type { Engine } from "./engine.ts";
import { loadLlamaEngine } from "./llama-engine.ts";
import { openLlama } from "./open-llama.ts";

const folder = mkdtempSync(join(tmpdir(), "reading-copy-checks-"));
const paths = Object.fromEntries(["plain", "one", "other", "copy"].map((name) => [name, join(folder, `${name}.gguf`)]));
const { plain = "", one = "", other = "", copy = "" } = paths;
const calibration = calibrationOf(modelHashSchema.parse("0".repeat(64)));
const llama = await openLlama({ gpu: false, threads: 1 });
const slots = 2;

const loaded: Engine[] = [];
async function load(modelPath: string, copyPath?: string, logError?: (message: string) => void): Promise<Engine> {
  const engine = await loadLlamaEngine({
    ...{ llama, slots, contextTokens: 256, threads: 1, modelPath, kind: "chat" },
    ...(copyPath === undefined ? {} : { copy: { path: copyPath, calibration } }),
    ...(logError === undefined ? {} : { logError }),
  });
  loaded.push(engine);
  return engine;
}

beforeAll(async () => {
  writeTinyChatModel(plain, { seed: 1 });
  writeTinyChatModel(other, { seed: 2 });
  await quantizeGguf({ source: plain, target: one, fileType: "Q4_1" });
  writeReadingCopy({ source: one, target: copy });
});
afterAll(async () => {
  for (const engine of loaded) await engine.dispose();
  await llama.dispose();
  rmSync(folder, { recursive: true });
});

describe("an engine with a reading copy", () => {
  describeCheck({ slots, endId: tinyChatVocabulary.special.turnEnd, makeChat: async () => await load(one, copy) });
});

const asking = { messages: [user("tell me of the sea")], sampling: { temperature: 1, seed: 5, maxTokens: 40 } };

test("an answer that the copy finds plausible is not read again", async () => {
  const [honest, withCopy] = [await load(one), await load(other, copy)];
  const claim = claimOf(asking, await ask(honest, asking));
  expect(meanMargin(await check(withCopy, claim))).toBeLessThan(0.05);
  // The control: by its own weights, which are another model's, it would have been found.
  expect(meanMargin(await check(await load(other), claim))).toBeGreaterThan(0.3);
});

test("an answer of several nodes, each judged by its own part, is read by the file", async () => {
  const claim = claimOf(asking, await ask(await load(one), asking));
  expect(meanMargin(await check(await load(other, copy), { ...claim, isOfSeveral: true }))).toBeGreaterThan(0.3);
});

test("what the copy holds against an answer counts for nothing until the model itself has read it", async () => {
  const [honest, withCopy] = [await load(one), await load(one, other)];
  const claim = claimOf(asking, await ask(honest, asking));
  for (const claimed of [claim, withSampling(claim, { seed: 6 })]) {
    expect(await check(withCopy, claimed)).toEqual(await check(honest, claimed));
  }
});

test("a copy that can't be loaded is done without, and that is said", async () => {
  const said: string[] = [];
  const engine = await load(one, join(folder, "missing.gguf"), (message) => said.push(message));
  expect(said).toEqual([expect.stringContaining("checks read the model's own file")]);
  const claim = claimOf(asking, await ask(engine, asking));
  expect(meanMargin(await check(engine, claim))).toBeLessThan(0.05);
});
