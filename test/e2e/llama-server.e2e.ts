import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll } from "vitest";
import { z } from "zod";
import type { Engine } from "../../worker-node/engine/engine.ts";
import { describeEngine } from "../../worker-node/engine/engine-conformance.ts";
import { loadUpstreamEngines } from "../../worker-node/load-upstream-engines.ts";
import { newFolder, tinyChat, tinyEmbedding } from "./devnet-process.ts";
import { ensurePython } from "./python.ts";

const folder = newFolder();
const paths = { chat: tinyChat(folder), embedding: tinyEmbedding(folder) };
const python = ensurePython();
/** Of embeddings a number that divides the context: llama.cpp stops itself at a batch that its sequences do not share evenly. */
const slotsOf = { chat: 3, embedding: 2 };
const contextTokens = 256;
const ends: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const end of ends) await end();
  rmSync(folder, { recursive: true });
});

/** Starts llama.cpp's own server on this file and resolves with where it listens. */
async function startServer(kind: "chat" | "embedding"): Promise<URL> {
  const asked = JSON.stringify({ modelPath: paths[kind], kind, slots: slotsOf[kind], contextTokens });
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

const urls: Partial<Record<"chat" | "embedding", Promise<URL>>> = {};

/** An engine as a node makes it, of the one server of its kind. */
async function make(kind: "chat" | "embedding"): Promise<Engine> {
  urls[kind] ??= startServer(kind);
  const { models } = await loadUpstreamEngines({
    ...{
      url: await urls[kind],
      key: undefined,
      modelFile: paths[kind],
      models: [],
      slots: slotsOf[kind],
      contextTokens,
    },
    ...{ cacheDir: join(folder, "cache"), out: () => {} },
  });
  const [model] = models;
  if (model === undefined) throw new Error("the server has no model");
  return model.engine;
}

describeEngine("llama.cpp's own server behind the openai engine", {
  slots: slotsOf.chat,
  makeChat: () => make("chat"),
  makeEmbedding: () => make("embedding"),
});
