import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { writeTinyChatModel, writeTinyEmbeddingModel } from "../../../test/models/tiny-gguf.ts";
import type { Engine } from "../engine.ts";
import { describeEngine } from "../engine-conformance.ts";
import { openLlama } from "../open-llama.ts";
import { llamaServerRoutes } from "./llama-server.fixture.ts";
import { openEngine } from "./open-engine.fixture.ts";
import { UpstreamModel } from "./upstream-model.fixture.ts";
import { UpstreamServer } from "./upstream-server.fixture.ts";
import { vllmRoutes } from "./vllm.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "openai-engine-"));
const chatPath = join(folder, "chat.gguf");
const embeddingPath = join(folder, "embedding.gguf");
writeTinyChatModel(chatPath, { seed: 1 });
writeTinyEmbeddingModel(embeddingPath, { seed: 1 });

const llama = await openLlama({ gpu: false, threads: 1 });
const slots = 3;
const contextTokens = 256;
const load = { llama, slots, contextTokens };
const servers: UpstreamServer[] = [];

afterAll(async () => {
  for (const server of servers) await server.close();
  await llama.dispose();
  rmSync(folder, { recursive: true });
});

async function make(software: "llama-server" | "vLLM", kind: "chat" | "embedding"): Promise<Engine> {
  const modelPath = kind === "chat" ? chatPath : embeddingPath;
  const routes = software === "vLLM" ? vllmRoutes(load) : llamaServerRoutes(load);
  const server = await UpstreamServer.start(await UpstreamModel.load({ ...load, modelPath, kind }), routes);
  servers.push(server);
  return (await openEngine(server, { folder })).engine;
}

describeEngine("llama-server behind the openai engine", {
  slots,
  makeChat: () => make("llama-server", "chat"),
  makeEmbedding: () => make("llama-server", "embedding"),
});

describeEngine("vLLM behind the openai engine", {
  slots,
  leavesPenalties: true,
  makeChat: () => make("vLLM", "chat"),
  makeEmbedding: () => make("vLLM", "embedding"),
});
