import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chooseToken } from "../../../core/decoding/choose-token.ts";
import { mostMargin } from "../../../core/decoding/claim-margin.ts";
import { checkReportSchema } from "../../../core/wire/node-frame.ts";
import type { ChatInput, CheckInput, Sampling } from "../../../core/wire/task-input.ts";
import { writeTinyChatModel } from "../../../test/models/tiny-gguf.ts";
import { ask, greedy, user } from "../ask-engine.fixture.ts";
import type { Engine } from "../engine.ts";
import { openLlama } from "../open-llama.ts";
import { UnsupportedTaskError } from "../unsupported-task-error.ts";
import { llamaServerRoutes } from "./llama-server.fixture.ts";
import { openEngine } from "./open-engine.fixture.ts";
import { UpstreamModel } from "./upstream-model.fixture.ts";
import { type Routes, UpstreamServer } from "./upstream-server.fixture.ts";
import { vllmRoutes } from "./vllm.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "openai-checks-"));
const modelPath = join(folder, "chat.gguf");
writeTinyChatModel(modelPath, { seed: 1 });
const llama = await openLlama({ gpu: false, threads: 1 });
const load = { llama, slots: 2, contextTokens: 256 };
const servers: UpstreamServer[] = [];
afterAll(async () => {
  for (const server of servers) await server.close();
  await llama.dispose();
  rmSync(folder, { recursive: true });
});

async function start(routes: Routes) {
  const server = await UpstreamServer.start(await UpstreamModel.load({ ...load, modelPath, kind: "chat" }), routes);
  servers.push(server);
  return { server, ...(await openEngine(server, { folder })) };
}

const chat = (sampling: Partial<Sampling> = {}): ChatInput => ({
  ...{ kind: "chat", messages: [user("hello")], sampling: { ...greedy, ...sampling } },
});
const places = (count: number) => Array.from({ length: count }, (_, position) => position);

async function check(engine: Engine, input: CheckInput) {
  const prepared = await engine.prepareCheck(input);
  if (prepared.kind !== "prepared") throw new Error("it does not fit");
  return checkReportSchema.parse(await prepared.run({ signal: new AbortController().signal }));
}

describe("a vLLM that tells enough probabilities", () => {
  let engine: Engine;
  let server: UpstreamServer;
  let honest: CheckInput;
  beforeAll(async () => {
    const started = await start(vllmRoutes({ ...load, maxLogprobs: 96 }));
    ({ engine, server } = started);
    expect(started.said.at(-1)).toBe("org/Tiny of vLLM 0.11.0: checks others' answers");
    expect(started.card.checks).toBe("plain");
    const { tokenIds, text } = await ask(engine);
    honest = { kind: "check", of: chat(), tokenIds, text, finishReason: "length", positions: places(tokenIds.length) };
  });

  test("finds an honest answer plausible at each place", async () => {
    const report = await check(engine, honest);
    expect(report.findings).toEqual(honest.positions.map((position) => ({ position, margin: 0, rank: 0 })));
    expect(report).toMatchObject({ isTextOfTokens: true, isEndRight: true });
  });

  test("tells by how much another token falls short, as the logits do, and that the text is not its", async () => {
    const tokenIds = honest.tokenIds.with(5, 40);
    const report = await check(engine, { ...honest, tokenIds, positions: [4, 5] });
    const prepared = await engine.prepareChat(honest.of);
    const prompt = prepared.kind === "prepared" ? (prepared.promptIds ?? []) : [];
    const after = await server.model.readPrompt([...prompt, ...tokenIds]);
    const logits = after[prompt.length + 5] ?? [];
    const short = (logits[0]?.[1] ?? 0) - (logits.find(([id]) => id === 40)?.[1] ?? 0);
    expect(short).toBeGreaterThan(0);
    expect(report.findings[0]).toEqual({ position: 4, margin: 0, rank: 0 });
    expect(report.findings[1]?.margin).toBeGreaterThanOrEqual(Math.min(mostMargin, short) - 1e-4);
    expect(report.findings[1]?.rank).toBeGreaterThan(0);
    expect(report.isTextOfTokens).toBe(false);
  });

  test("checks at a temperature: what docs/SAMPLING.md chooses is plausible, another seed's answer is not", async () => {
    const sampling = { ...greedy, temperature: 1, seed: 7, maxTokens: 24 };
    const of = chat(sampling);
    const prepared = await engine.prepareChat(of);
    const prompt = prepared.kind === "prepared" ? (prepared.promptIds ?? []) : [];
    const tokenIds: number[] = [];
    for (let position = 0; position < 24; position += 1) {
      const after = await server.model.readPrompt([...prompt, ...tokenIds, 0]);
      const chosen = chooseToken(after.at(-1) ?? [], sampling, { position, counts: new Map() });
      if (chosen === undefined) throw new Error("no token was chosen");
      tokenIds.push(chosen);
    }
    const text = server.model.detokenize(tokenIds);
    const input: CheckInput = { ...honest, of, tokenIds, text, positions: places(24) };
    const mean = ({ findings }: { findings: { margin: number }[] }) =>
      findings.reduce((sum, { margin }) => sum + margin, 0) / findings.length;
    const report = await check(engine, input);
    expect(mean(report)).toBeLessThan(0.01);
    expect(report).toMatchObject({ isTextOfTokens: true, isEndRight: true });
    expect(mean(await check(engine, { ...input, of: chat({ ...sampling, seed: 8 }) }))).toBeGreaterThan(0.3);
  });

  test.each<[what: string, change: Partial<CheckInput>]>([
    ["cut off before its bound", { tokenIds: [], text: "" }],
    ["said to be ended by a stop sequence that is not there", { finishReason: "stop", stopSequence: "zz" }],
    ["said to be ended by the model at its bound", { finishReason: "stop" }],
  ])("an answer %s has a wrong end", async (_what, change) => {
    expect((await check(engine, { ...honest, ...change, positions: [] })).isEndRight).toBe(false);
  });

  test("an answer that should have ended at a stop sequence has a wrong end", async () => {
    const stop = [honest.text.slice(2, 4)];
    const of = chat({ stop });
    const whole = await ask(engine, { sampling: { stop } });
    const { tokenIds, text } = whole;
    const [stopSequence] = stop;
    const ended = { ...honest, of, tokenIds, text, finishReason: "stop" as const, positions: [] };
    expect(await check(engine, { ...ended, ...(stopSequence === undefined ? {} : { stopSequence }) })).toMatchObject({
      ...{ isEndRight: true, isTextOfTokens: true },
    });
    expect((await check(engine, { ...honest, of, positions: [] })).isEndRight).toBe(false);
  });

  test("an end that the model would not have made is a finding of its own place", async () => {
    const tokenIds = honest.tokenIds.slice(0, 6);
    const text = server.model.detokenize(tokenIds);
    const report = await check(engine, { ...honest, tokenIds, text, finishReason: "stop", positions: [5, 6] });
    expect(report.findings).toMatchObject([
      { position: 5, margin: 0 },
      { position: 6, margin: mostMargin },
    ]);
    expect(report.isEndRight).toBe(true);
  });

  test("ids that the model does not have are findings of the greatest margin, and what follows them is not read", async () => {
    const report = await check(engine, { ...honest, tokenIds: honest.tokenIds.with(3, 9_999_999) });
    expect(report.findings.map(({ margin }) => margin)).toEqual([0, 0, 0, ...new Array<number>(9).fill(mostMargin)]);
    expect(report).toMatchObject({ isTextOfTokens: false, isEndRight: false });
  });

  test("an answer that does not fit is told as such", async () => {
    const tokenIds = new Array<number>(300).fill(5);
    expect(await engine.prepareCheck({ ...honest, tokenIds })).toMatchObject({ kind: "context_overflow" });
  });

  test.each<[param: string, of: ChatInput]>([
    ["logit_bias", chat({ logitBias: [[1, 5]] })],
    ["frequency_penalty", chat({ frequencyPenalty: 1 })],
    ["presence_penalty", chat({ presencePenalty: 1 })],
    ["tools", { ...chat(), tools: [{ name: "f", parameters: {}, isStrict: false }] }],
    ["response_format", { ...chat(), format: { type: "json_object" } }],
  ])("answers with %s are refused by that name", async (param, of) => {
    await expect(engine.prepareCheck({ ...honest, of })).rejects.toMatchObject({ name: "UnsupportedTaskError", param });
  });

  test("a check that is cancelled rejects with the signal's reason", async () => {
    const prepared = await engine.prepareCheck(honest);
    if (prepared.kind !== "prepared") throw new Error("it does not fit");
    await expect(prepared.run({ signal: AbortSignal.abort("enough") })).rejects.toBe("enough");
  });
});

test("a vLLM with its usual bound checks at temperature 0 alone, and the start says how to have the rest", async () => {
  const { engine, said, card } = await start(vllmRoutes(load));
  expect(card.checks).toBe("none");
  expect(said.at(-1)).toContain("at temperature 0 alone and is not asked to; start vLLM with --max-logprobs 96");
  const { tokenIds, text } = await ask(engine);
  const input: CheckInput = {
    ...{ kind: "check", of: chat(), tokenIds, text, finishReason: "length", positions: [0, 5] },
  };
  expect((await check(engine, input)).findings).toMatchObject([{ margin: 0 }, { margin: 0 }]);
  const warm = engine.prepareCheck({ ...input, of: chat({ temperature: 1 }) });
  await expect(warm).rejects.toThrow("tells 20 of the likeliest tokens, and a check at a temperature needs 64");
  // Of no more than 20 tokens there are enough.
  expect(await engine.prepareCheck({ ...input, of: chat({ temperature: 1, topK: 20 }) })).toMatchObject({
    kind: "prepared",
  });
});

test("a llama-server tells no probabilities of a prompt: checks are refused, and the start says so", async () => {
  const { engine, said } = await start(llamaServerRoutes(load));
  expect(said.at(-1)).toBe("tiny.gguf of llama-server b6500-fixture: cannot check others' answers");
  const input: CheckInput = {
    ...{ kind: "check", of: chat(), tokenIds: [1], text: "a", finishReason: null, positions: [0] },
  };
  await expect(engine.prepareCheck(input)).rejects.toThrow(UnsupportedTaskError);
  await expect(engine.prepareCheck(input)).rejects.toThrow("does not tell the probabilities of a prompt");
});
