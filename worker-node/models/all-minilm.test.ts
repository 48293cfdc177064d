import { getLlama } from "node-llama-cpp";
import { expect, test } from "vitest";
import { findCatalogueModel } from "../../core/model/catalogue.ts";
import { defaultCacheDir } from "./cache-dir.ts";
import { listModels, resolveModel } from "./store.ts";

const name = "all-minilm-l6-v2";
const cacheDir = defaultCacheDir();
const listed = await listModels({ cacheDir });
const isHeld = listed.some((model) => model.name === name && model.state === "held");

// Needs the pulled model (46 MB), which a unit test does not fetch: `cortensor-node models pull all-minilm-l6-v2`.
test.skipIf(!isHeld)("the converted all-MiniLM-L6-v2 embeds as the original weights do", async () => {
  const model = await resolveModel(name, { cacheDir });
  expect(model).toMatchObject({ ...findCatalogueFacts(), dimensions: 384, trainedContextTokens: 512 });

  const llama = await getLlama({ gpu: false, build: "never", maxThreads: 1 });
  const loaded = await llama.loadModel({ modelPath: model.path });
  const context = await loaded.createEmbeddingContext({ threads: 1 });
  const happy = await context.getEmbeddingFor("That is a happy person");
  const veryHappy = await context.getEmbeddingFor("That is a very happy person");
  const sunny = await context.getEmbeddingFor("Today is a sunny day");
  await llama.dispose();

  // The expected values come from the original weights in float64, computed without llama.cpp.
  expect(Math.abs(happy.calculateCosineSimilarity(veryHappy) - 0.942915)).toBeLessThan(0.001);
  expect(Math.abs(happy.calculateCosineSimilarity(sunny) - 0.256876)).toBeLessThan(0.001);
});

function findCatalogueFacts() {
  const { fileSha256, sizeBytes, kind } = findCatalogueModel(name) ?? {};
  return { fileSha256, sizeBytes, kind };
}
