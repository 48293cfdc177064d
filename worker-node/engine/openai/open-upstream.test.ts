import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { modelCardSchema } from "../../../core/model/model-card.ts";
import { writeTinyChatModel, writeTinyEmbeddingModel } from "../../../test/models/tiny-gguf.ts";
import { ask } from "../ask-engine.fixture.ts";
import { openLlama } from "../open-llama.ts";
import { llamaServerRoutes } from "./llama-server.fixture.ts";
import { openEngine } from "./open-engine.fixture.ts";
import { UpstreamModel } from "./upstream-model.fixture.ts";
import { type Routes, UpstreamServer } from "./upstream-server.fixture.ts";
import { vllmRoutes } from "./vllm.fixture.ts";

const llama = await openLlama({ gpu: false, threads: 1 });
const load = { llama, slots: 2, contextTokens: 256 };
let folder: string;
let chatPath: string;
let embeddingPath: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "open-upstream-"));
  chatPath = join(folder, "chat.gguf");
  embeddingPath = join(folder, "embedding.gguf");
  writeTinyChatModel(chatPath, { seed: 1 });
  writeTinyEmbeddingModel(embeddingPath, { seed: 1 });
});
afterAll(async () => {
  await llama.dispose();
  rmSync(folder, { recursive: true });
});

let server: UpstreamServer;
afterEach(() => server.close());

async function serve(routes: Routes, kind: "chat" | "embedding" = "chat"): Promise<void> {
  const modelPath = kind === "chat" ? chatPath : embeddingPath;
  server = await UpstreamServer.start(await UpstreamModel.load({ ...load, modelPath, kind }), routes);
}

describe("a llama-server", () => {
  beforeEach(() => serve(llamaServerRoutes(load)));

  test("is served with what it can do at once, and says what is refused", async () => {
    const { card, software, said } = await openEngine(server, { folder });
    expect(software).toBe("llama-server b6500-fixture");
    expect(said).toEqual([
      "tiny.gguf of llama-server b6500-fixture: refuses tasks with tools",
      "tiny.gguf of llama-server b6500-fixture: cannot check others' answers",
    ]);
    expect(modelCardSchema.parse(card)).toMatchObject({ name: "tiny", kind: "chat", contextTokens: 256, slots: 2 });
  });

  test("is bounded by the operator's flags", async () => {
    const { card, engine } = await openEngine(server, { folder, slots: 1, contextTokens: 100 });
    expect(card).toMatchObject({ contextTokens: 100, slots: 1 });
    expect(engine.contextTokens).toBe(100);
  });

  test("with its file is the same model as on a node that runs the file itself", async () => {
    const { card } = await openEngine(server, { folder, modelFile: chatPath });
    const fileSha256 = createHash("sha256").update(readFileSync(chatPath)).digest("hex");
    expect(card).toMatchObject({ fileSha256, architecture: "llama", sizeBytes: readFileSync(chatPath).length });
  });

  test("with another file is refused", async () => {
    const opening = openEngine(server, { folder, modelFile: embeddingPath });
    await expect(opening).rejects.toMatchObject({ name: "UpstreamRefusedError", code: "another_file" });
  });

  test("without a file has an identity that the same words give again, and other words do not", async () => {
    const { card } = await openEngine(server, { folder });
    expect((await openEngine(server, { folder })).card.fileSha256).toBe(card.fileSha256);
    await server.close();
    await serve({ ...llamaServerRoutes(load), "/props": () => ({ ...propsOf(), chat_template: "another" }) });
    expect((await openEngine(server, { folder })).card.fileSha256).not.toBe(card.fileSha256);
  });

  test("wants its key", async () => {
    server.key = "sk-secret";
    const opening = openEngine(server, { folder });
    await expect(opening).rejects.toMatchObject({ code: "unauthorized" });
    await expect(opening).rejects.toThrow("--upstream-key");
    const { engine } = await openEngine(server, { folder, key: "sk-secret" });
    expect((await ask(engine)).tokenIds).toHaveLength(12);
  });

  test("has the models that it names, and no other", async () => {
    const opening = openEngine(server, { folder, models: ["big.gguf"] });
    await expect(opening).rejects.toMatchObject({ code: "no_such_model" });
    await expect(opening).rejects.toThrow("has no model big.gguf: tiny.gguf.");
    expect((await openEngine(server, { folder, models: ["tiny.gguf"] })).card.name).toBe("tiny");
  });

  const propsOf = () => ({ default_generation_settings: { n_ctx: 256 }, total_slots: 2 });
});

test("a build without token ids is refused, and told which to use", async () => {
  await serve(llamaServerRoutes({ ...load, hidesIds: true }));
  const opening = openEngine(server, { folder });
  await expect(opening).rejects.toMatchObject({ name: "UpstreamRefusedError", code: "no_token_ids" });
  await expect(opening).rejects.toThrow("Use llama-server of build 4400 or later, or vLLM 0.10.2 or later");
});

describe("a vLLM", () => {
  test("is served with what it can do, its vocabulary found by trying", async () => {
    await serve(vllmRoutes(load));
    const { card, software, said } = await openEngine(server, { folder });
    expect(software).toBe("vLLM 0.11.0");
    expect(said).toContain("org/Tiny of vLLM 0.11.0: refuses tasks with logprobs, tools");
    expect(modelCardSchema.parse(card)).toMatchObject({ name: "tiny", contextTokens: 256, slots: 4, decoding: "own" });
    expect(server.asked.get("/v1/completions")).toBeLessThan(30);
  });

  test("of a version without token ids is refused", async () => {
    await serve(vllmRoutes({ ...load, hidesIds: true }));
    await expect(openEngine(server, { folder })).rejects.toMatchObject({ code: "no_token_ids" });
  });

  test("that has no grammars refuses tasks with a format, and serves the rest", async () => {
    const { "/v1/completions": complete, ...routes } = vllmRoutes(load);
    const deaf = (body: unknown) => ({ ...z.looseObject({}).parse(body), structured_outputs: undefined });
    await serve({ ...routes, "/v1/completions": (body, exchange) => complete?.(deaf(body), exchange) });
    const { said, engine } = await openEngine(server, { folder });
    expect(said).toContain("org/Tiny of vLLM 0.11.0: refuses tasks with response_format, logprobs, tools");
    expect((await ask(engine)).tokenIds).toHaveLength(12);
  });
});

test("a server that cannot count prompts, as Ollama, is refused, and told what works", async () => {
  await serve(vllmRoutes(load));
  server.missing.add("/tokenize");
  const opening = openEngine(server, { folder });
  await expect(opening).rejects.toMatchObject({ code: "no_prompt_counts" });
  await expect(opening).rejects.toThrow("can be served without it: `cortensor-node start --model FILE.gguf`");
});

test("a server of something else is refused", async () => {
  await serve({});
  await expect(openEngine(server, { folder })).rejects.toMatchObject({ code: "not_openai" });
});

test("an embedding model that reads texts in small batches serves texts that fit them", async () => {
  const { "/v1/embeddings": embed, ...routes } = llamaServerRoutes(load);
  const small: Routes[string] = (body, exchange) => {
    if (JSON.stringify(body).split(",").length > 130) throw new Error("input is too large to process");
    return embed?.(body, exchange);
  };
  await serve({ ...routes, "/v1/embeddings": small }, "embedding");
  const { card } = await openEngine(server, { folder });
  expect(card).toMatchObject({ kind: "embedding", contextTokens: 128 });
  expect(card.dimensions).toBeGreaterThan(0);
});
