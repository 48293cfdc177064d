import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { logprobSchema } from "../../../core/wire/node-frame.ts";
import type { ChatInput } from "../../../core/wire/task-input.ts";
import { writeTinyChatModel } from "../../../test/models/tiny-gguf.ts";
import { ask, greedy, prepare, user } from "../ask-engine.fixture.ts";
import { expectEveryCutToJoin } from "../continuation-conformance.ts";
import type { ChatPiece, Engine } from "../engine.ts";
import { writeMultiByteChatModel } from "../multi-byte-model.fixture.ts";
import { openLlama } from "../open-llama.ts";
import { UnsupportedTaskError } from "../unsupported-task-error.ts";
import { llamaServerRoutes } from "./llama-server.fixture.ts";
import { openEngine } from "./open-engine.fixture.ts";
import { UpstreamError } from "./upstream-error.ts";
import { UpstreamModel } from "./upstream-model.fixture.ts";
import { type Fault, type Routes, UpstreamServer } from "./upstream-server.fixture.ts";
import { vllmRoutes } from "./vllm.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "openai-answers-"));
const plainPath = join(folder, "plain.gguf");
const multiBytePath = join(folder, "multi-byte.gguf");
writeTinyChatModel(plainPath, { seed: 1 });
writeMultiByteChatModel(multiBytePath, { seed: 3 });

const llama = await openLlama({ gpu: false, threads: 1 });
const load = { llama, slots: 2, contextTokens: 256 };
const wideSchema = { enum: ["a猫😀"] };
const schema = { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"] };

afterAll(async () => {
  await llama.dispose();
  rmSync(folder, { recursive: true });
});

const start = async (routes: Routes, modelPath = plainPath): Promise<UpstreamServer> =>
  UpstreamServer.start(
    await UpstreamModel.load({ ...load, modelPath, kind: "chat", schemas: [schema, wideSchema] }),
    routes,
  );

describe.each([
  ["llama-server", llamaServerRoutes(load), "/completion"],
  ["vLLM", vllmRoutes(load), "/v1/completions"],
])("%s", (software, routes, path) => {
  let server: UpstreamServer;
  let engine: Engine;
  beforeAll(async () => {
    server = await start(routes);
    engine = (await openEngine(server, { folder })).engine;
  });
  afterAll(async () => {
    await engine.dispose();
    await server.close();
  });
  const chat = (rest: Partial<ChatInput>): ChatInput => ({
    ...{ kind: "chat", messages: [user("hello")], sampling: greedy },
    ...rest,
  });

  test("an answer with characters of several tokens has all its ids, and is continued from within them", async () => {
    const server = await start(routes, multiBytePath);
    const { engine } = await openEngine(server, { folder });
    const own = await server.model.engine.prepareChat(chat({ sampling: { ...greedy, maxTokens: 24 } }));
    if (own.kind !== "prepared") throw new Error("the prompt does not fit");
    const ids: number[] = [];
    await own.run({ onPiece: ({ tokenIds }) => ids.push(...tokenIds), signal: new AbortController().signal });
    const whole = await expectEveryCutToJoin({ engine, slots: 2 }, { sampling: { maxTokens: 24 } });
    expect(whole.tokenIds).toEqual(ids);
    expect(whole.text).toContain("😀");
    expect(whole.text).toBe(server.model.detokenize(ids));
    await server.close();
  });

  test("an answer of a schema is whole also where its characters are several tokens each", async () => {
    const input = chat({ format: { type: "json_schema", schema: wideSchema }, sampling: { ...greedy, maxTokens: 40 } });
    const prepared = await engine.prepareChat(input);
    if (prepared.kind !== "prepared") throw new Error("the prompt does not fit");
    let text = "";
    const ids: number[] = [];
    const onPiece = (piece: ChatPiece) => {
      text += piece.text;
      ids.push(...piece.tokenIds);
    };
    const { finishReason } = await prepared.run({ onPiece, signal: new AbortController().signal });
    expect({ text, finishReason }).toEqual({ text: '"a猫😀"', finishReason: "stop" });
    expect(server.model.detokenize(ids)).toBe(text);
  });

  test("an answer that the model ends holds no token of its end", async () => {
    const { tokenIds } = await ask(engine, { sampling: { maxTokens: 4 } });
    const logitBias: [number, number][] = [[server.model.endId, 100]];
    const { outcome, pieces } = await ask(engine, { sampling: { logitBias } });
    expect(outcome).toMatchObject({ finishReason: "stop", completionTokens: 0 });
    expect(pieces).toEqual([]);
    expect(tokenIds).toHaveLength(4);
  });

  test("a bias keeps a token out of an answer", async () => {
    const [first = 0] = (await ask(engine)).tokenIds;
    const { tokenIds } = await ask(engine, { sampling: { logitBias: [[first, -100]] } });
    expect(tokenIds).toHaveLength(12);
    expect(tokenIds).not.toContain(first);
  });

  test("an answer is held to a schema, and one begun elsewhere is left to another node", async () => {
    const input = chat({ format: { type: "json_schema", schema }, sampling: { ...greedy, maxTokens: 40 } });
    const prepared = await engine.prepareChat(input);
    if (prepared.kind !== "prepared") throw new Error("the prompt does not fit");
    let text = "";
    await prepared.run({ onPiece: (piece) => (text += piece.text), signal: new AbortController().signal });
    expect(text).toMatch(/^\{"ok": (true|false)\}$/);
    const continued = engine.prepareChat(input, { continues: [1, 2] });
    await expect(continued).rejects.toBeInstanceOf(UpstreamError);
  });

  test("tools are refused by name, unless they are not to be called", async () => {
    const tools = [{ name: "clock", parameters: {}, isStrict: false }];
    const asked = engine.prepareChat(chat({ tools }));
    await expect(asked).rejects.toBeInstanceOf(UnsupportedTaskError);
    await expect(asked).rejects.toMatchObject({ param: "tools" });
    expect(await engine.prepareChat(chat({ tools, toolChoice: "none" }))).toMatchObject({ kind: "prepared" });
  });

  test("probabilities are told of every token, or refused by name", async () => {
    const sampling = { logprobs: { top: 3 }, maxTokens: 5 };
    if (software === "vLLM") {
      const asked = prepare(engine, { sampling });
      await expect(asked).rejects.toMatchObject({ name: "UnsupportedTaskError", param: "logprobs" });
      return;
    }
    const { pieces, tokenIds } = await ask(engine, { sampling });
    const told = pieces.flatMap(({ logprobs }) => logprobs ?? []).map((logprob) => logprobSchema.parse(logprob));
    expect(told.map(({ id }) => id)).toEqual(tokenIds);
    for (const { top, id } of told) {
      expect(top).toHaveLength(3);
      expect(top[0]?.id).toBe(id);
    }
  });

  test("a probability that cannot be had fails the task, so that another node does it", async () => {
    if (software === "vLLM") return;
    const server = await start(routes, multiBytePath);
    const { engine } = await openEngine(server, { folder });
    const asking = ask(engine, { sampling: { maxTokens: 24, logprobs: { top: 1 } } });
    await expect(asking).rejects.toBeInstanceOf(UpstreamError);
    await server.close();
  });

  test.each<[what: Fault["what"], words: string]>([
    ["cut", "terminated"],
    ["garbage", "not JSON"],
    ["strange", "not understood"],
    ["error event", "out of memory"],
  ])("a stream that breaks (%s) fails its task after what came, and the next one runs", async (what, words) => {
    const whole = await ask(engine);
    server.fault = { after: 4, what };
    const shown: number[] = [];
    const prepared = await prepare(engine, {});
    const running = prepared.run({
      onPiece: ({ tokenIds }) => shown.push(...tokenIds),
      signal: new AbortController().signal,
    });
    await expect(running).rejects.toThrow(words);
    await expect(running).rejects.toBeInstanceOf(UpstreamError);
    expect(shown).toEqual(whole.tokenIds.slice(0, 4));
    server.fault = undefined;
    expect((await ask(engine)).tokenIds).toEqual(whole.tokenIds);
  });

  test("an upstream that hangs is left at once when the task is cancelled, and stops", async () => {
    server.fault = { after: 2, what: "silence" };
    const controller = new AbortController();
    const asking = ask(engine, {
      sampling: { maxTokens: null },
      signal: controller.signal,
      onPiece: (count) => void (count === 2 && setTimeout(() => controller.abort(), 50)),
    });
    const { outcome, tokenIds } = await asking;
    expect(outcome).toMatchObject({ finishReason: "cancelled", completionTokens: 2 });
    expect(tokenIds).toHaveLength(2);
    server.fault = undefined;
    await expect.poll(() => server.running).toBe(0);
  });

  test("an upstream that answers 500 fails the task, and says with what", async () => {
    const prepared = await prepare(engine, {});
    server.status = 500;
    const running = prepared.run({ onPiece: () => {}, signal: new AbortController().signal });
    await expect(running).rejects.toThrow(`${path} answered 500: {"error":{"message":"out of order"}}`);
    await expect(prepare(engine, {})).rejects.toMatchObject({ name: "UpstreamError", status: 500 });
    server.status = undefined;
  });

  test("stopped by a stop string, the upstream stops too", async () => {
    const { text } = await ask(engine);
    await ask(engine, { sampling: { maxTokens: null, stop: [text.slice(2, 4)] } });
    await expect.poll(() => server.running).toBe(0);
  });
});
