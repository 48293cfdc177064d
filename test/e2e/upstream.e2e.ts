import { join } from "node:path";
import type { Llama } from "node-llama-cpp";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RouterAdmin } from "../../devnet/router-admin.ts";
import { openLlama } from "../../worker-node/engine/open-llama.ts";
import { llamaServerRoutes } from "../../worker-node/engine/openai/llama-server.fixture.ts";
import { UpstreamModel } from "../../worker-node/engine/openai/upstream-model.fixture.ts";
import { UpstreamServer } from "../../worker-node/engine/openai/upstream-server.fixture.ts";
import { Child } from "./child.ts";
import { DevnetProcess, newFolder, nodeScript, projectNode, tinyChat } from "./devnet-process.ts";
import { until } from "./wait.ts";

/** Of the devnet's own node, and of the file that the upstream has loaded. */
const model = "tiny-chat-1";
const contextTokens = 2_048;
const slots = 2;

let devnet: DevnetProcess;
let client: OpenAI;
let llama: Llama;
let upstream: UpstreamServer;
let node: Child;

beforeAll(async () => {
  const folder = newFolder();
  const modelPath = tinyChat(folder);
  devnet = await DevnetProcess.start({ folder, models: [modelPath], nodes: 1, slots, contextTokens });
  client = new OpenAI({ baseURL: devnet.baseUrl, apiKey: devnet.apiKey, maxRetries: 0 });
  llama = await openLlama({ gpu: false, threads: 1 });
  const loaded = await UpstreamModel.load({ llama, modelPath, kind: "chat", slots, contextTokens });
  upstream = await UpstreamServer.start(loaded, llamaServerRoutes({ slots, contextTokens }));
  const admin = new RouterAdmin(devnet.origin, devnet.adminKey);
  const { token = "" } = await admin.create("invites", { name: "tests", max_nodes: 1 });
  const place = ["--router", devnet.origin, "--token", token, "--home", join(folder, "upstream-home")];
  const engine = ["--engine", "openai", "--upstream", upstream.url.href, "--model-file", modelPath];
  node = new Child(projectNode, ["--disable-warning=ExperimentalWarning", nodeScript, "start", ...place, ...engine], {
    env: devnet.env,
  });
  await until("both nodes serve the file", () => devnet.hasLiveNodes(model, 2), { since: () => node.said });
});
afterAll(async () => {
  node.process.kill("SIGTERM");
  await node.exited;
  await devnet.remove();
  await upstream.close();
  await llama.dispose();
});

/** What the file itself answers. */
async function ownAnswer(content: string, maxTokens: number): Promise<string> {
  const sampling = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, seed: 1, stop: [], maxTokens };
  const input = { kind: "chat" as const, messages: [{ role: "user" as const, content }], sampling };
  const prepared = await upstream.model.engine.prepareChat(input);
  if (prepared.kind !== "prepared") throw new Error("the prompt does not fit");
  let text = "";
  await prepared.run({ onPiece: (piece) => (text += piece.text), signal: new AbortController().signal });
  return text;
}

const completions = () => upstream.asked.get("/completion") ?? 0;

/** More at once than the devnet's own node has room for, however much sooner it is expected to answer. */
const atOnce = 2 * slots;

/** Asks about one thing and another until the upstream's node was given a task; every answer must be the file's own. */
async function askUntilUpstreamWorks(): Promise<void> {
  const before = completions();
  for (let round = 0; round < 10 && completions() === before; round++) {
    await Promise.all(
      Array.from({ length: atOnce }, (_, number) => expectOwnAnswer(`question ${round}.${number} after ${before}`)),
    );
  }
  expect(completions()).toBeGreaterThan(before);
}

async function expectOwnAnswer(content: string): Promise<void> {
  const stream = await client.chat.completions.create({
    ...{ model, messages: [{ role: "user", content }], temperature: 0, max_tokens: 120 },
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let tokens: number | undefined;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    tokens = chunk.usage?.completion_tokens ?? tokens;
  }
  expect(text).toBe(await ownAnswer(content, 120));
  expect(tokens).toBe(120);
}

test("a node of an upstream answers as a node that runs the same file itself", async () => {
  await askUntilUpstreamWorks();
  expect(node.stdout).toContain("length  task_");
});

test("where the upstream breaks off, the other node goes on, no token twice and none missing", async () => {
  upstream.fault = { after: 40, what: "cut" };
  await askUntilUpstreamWorks();
  expect(node.stdout).toMatch(/failed|terminated/);
  upstream.fault = undefined;
});

test("what the upstream lacks is done by the other node: no caller is refused for where its task came first", async () => {
  const tool = {
    type: "function" as const,
    function: { name: "note", parameters: { type: "object", properties: {} } },
  };
  const refused = () => node.stdout.match(/cannot be held to calls of tools/g)?.length ?? 0;
  const ask = async (content: string) => {
    const answer = await client.chat.completions.create({
      ...{ model, messages: [{ role: "user", content }], max_tokens: 60 },
      ...{ tools: [tool], tool_choice: "required" },
    });
    expect(answer.choices[0]?.message.tool_calls?.[0]).toMatchObject({ function: { name: "note" } });
  };
  for (let round = 0; round < 10 && refused() === 0; round++) {
    await Promise.all(Array.from({ length: atOnce }, (_, number) => ask(`note ${round}.${number}`)));
  }
  expect(refused()).toBeGreaterThan(0);
});
