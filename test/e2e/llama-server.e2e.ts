import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, expect, test } from "vitest";
import { z } from "zod";
import { modelHashSchema } from "../../core/ids.ts";
import { calibrationOf } from "../../core/validation/calibration.ts";
import { type CheckVerdict, judgeCheck } from "../../core/validation/judge-check.ts";
import type { ChatInput, CheckInput } from "../../core/wire/task-input.ts";
import type { Engine } from "../../worker-node/engine/engine.ts";
import { describeEngine } from "../../worker-node/engine/engine-conformance.ts";
import { loadLlamaEngine } from "../../worker-node/engine/llama-engine.ts";
import { openLlama } from "../../worker-node/engine/open-llama.ts";
import { loadUpstreamEngines } from "../../worker-node/load-upstream-engines.ts";
import { defaultCacheDir } from "../../worker-node/models/cache-dir.ts";
import { holdModels } from "../../worker-node/models/hold-models.ts";
import { newFolder, tinyChat, tinyEmbedding } from "./devnet-process.ts";
import { ensurePython } from "./python.ts";

const folder = newFolder();
const tiny = {
  // Of embeddings a number that divides the context: llama.cpp stops itself at a batch that its sequences do not share evenly.
  ...{ chat: { modelPath: tinyChat(folder), slots: 3 }, embedding: { modelPath: tinyEmbedding(folder), slots: 2 } },
};
const python = ensurePython();
const contextTokens = 256;
const ends: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const end of ends) await end();
  rmSync(folder, { recursive: true });
});

type Served = (typeof tiny)["chat"];

/** Starts llama.cpp's own server on this file and resolves with where it listens. */
async function startServer(kind: "chat" | "embedding", served: Served): Promise<URL> {
  const asked = JSON.stringify({ ...served, kind, contextTokens });
  const server = spawn(python, [join(import.meta.dirname, "llama_server.py"), asked], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const ended = once(server, "close");
  ends.push(() => {
    // Its input ends with this process too, so that none can stay.
    server.stdin.end();
    return ended;
  });
  for await (const line of createInterface(server.stdout)) {
    if (line.startsWith('{"url"')) return new URL(z.object({ url: z.url() }).parse(JSON.parse(line)).url);
  }
  throw new Error("llama-server ended before it listened");
}

const urls = new Map<Served, Promise<URL>>();

/** An engine as a node makes it, of the one server of its kind and file. */
async function make(kind: "chat" | "embedding", served: Served = tiny[kind]): Promise<Engine> {
  const url = urls.get(served) ?? startServer(kind, served);
  urls.set(served, url);
  const { models } = await loadUpstreamEngines({
    ...{ url: await url, key: undefined, modelFile: served.modelPath, models: [], slots: served.slots, contextTokens },
    ...{ cacheDir: join(folder, "cache"), out: () => {} },
  });
  const [model] = models;
  if (model === undefined) throw new Error("the server has no model");
  return model.engine;
}

describeEngine("llama.cpp's own server behind the openai engine", {
  slots: tiny.chat.slots,
  makeChat: () => make("chat"),
  makeEmbedding: () => make("embedding"),
});

const questions = [
  "What is rain?",
  "Name three rivers.",
  "How do I boil an egg?",
  "Why is the sky blue?",
  "Who was Ada Lovelace?",
];

function inputOf(content: string, temperature: number): ChatInput {
  const sampling = { topP: 1, frequencyPenalty: 0, presencePenalty: 0, seed: 1, stop: [], maxTokens: 64 };
  return { kind: "chat", messages: [{ role: "user", content }], sampling: { ...sampling, temperature } };
}

/** What `checker` finds of what `maker` says to these questions, at every token. */
async function verdictsOf(maker: Engine, checker: Engine, temperature: number): Promise<CheckVerdict[]> {
  const verdicts: CheckVerdict[] = [];
  const signal = new AbortController().signal;
  for (const question of questions) {
    const of = inputOf(question, temperature);
    const answering = await maker.prepareChat(of);
    if (answering.kind !== "prepared") throw new Error("a question does not fit");
    const said = { tokenIds: [] as number[], text: "" };
    const { finishReason } = await answering.run({
      onPiece: ({ tokenIds, text }) => {
        said.tokenIds.push(...tokenIds);
        said.text += text;
      },
      signal,
    });
    if (finishReason === "cancelled") throw new Error("an answer was cancelled");
    const positions = said.tokenIds.map((_, position) => position);
    const check: CheckInput = { kind: "check", of, ...said, finishReason, positions };
    const checking = await checker.prepareCheck(check);
    if (checking.kind !== "prepared") throw new Error("an answer does not fit");
    const claims = {
      ...{ promptTokens: answering.promptTokens, checkedPromptTokens: checking.promptTokens },
      ...{ isCommitmentGood: true, answerTokens: said.tokenIds.length, positions },
    };
    const calibration = calibrationOf(modelHashSchema.parse("0".repeat(64)), "own");
    const verdict = judgeCheck(await checking.run({ signal }), claims, calibration);
    if (verdict === undefined) throw new Error("the check looked elsewhere");
    verdicts.push(verdict);
  }
  return verdicts;
}

test("what it says at temperature 0 stands a check by the llama engine; what it draws by itself does not", async () => {
  const [held] = await holdModels({ names: ["smollm2-135m-instruct"], cacheDir: defaultCacheDir(), out: () => {} });
  if (held === undefined) throw new Error("there is no model");
  const served = { modelPath: held.path, slots: 1 };
  const maker = await make("chat", served);
  const llama = await openLlama({ gpu: false, threads: 1 });
  const checker = await loadLlamaEngine({ llama, ...served, kind: "chat", contextTokens, threads: 1 });
  const greedy = await verdictsOf(maker, checker, 0);
  const drawn = await verdictsOf(maker, checker, 1);
  await checker.dispose();
  await llama.dispose();
  console.log(`mean margins: ${greedy.map(({ meanMargin }) => meanMargin.toFixed(4)).join(", ")} at temperature 0`);
  expect(greedy.map(({ outcome }) => outcome)).toEqual(questions.map(() => "plausible"));
  expect(drawn.map(({ outcome }) => outcome)).toEqual(questions.map(() => "implausible"));
});
