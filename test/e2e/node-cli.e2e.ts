import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { RouterAdmin } from "../../devnet/router-admin.ts";
import { readNodeStatus } from "../../worker-node/status-file.ts";
import { Child } from "./child.ts";
import { DevnetProcess, newFolder, nodeScript, projectNode, tinyChat } from "./devnet-process.ts";
import { until } from "./wait.ts";

const clone = resolve(import.meta.dirname, "../..");
/** Served by the nodes of these tests alone; the devnet's own node has another. */
const model = "tiny-chat-2";
const contextTokens = 16_384;

let folder: string;
let devnet: DevnetProcess;
let admin: RouterAdmin;
let client: OpenAI;
let modelPath: string;

beforeAll(async () => {
  folder = newFolder();
  devnet = await DevnetProcess.start({ folder, models: [tinyChat(folder)] });
  admin = new RouterAdmin(devnet.origin, devnet.adminKey);
  client = new OpenAI({ baseURL: devnet.baseUrl, apiKey: devnet.apiKey, maxRetries: 0 });
  modelPath = tinyChat(folder, { seed: 2, contextTokens });
});
afterAll(() => devnet.remove());

const home = (name: string) => join(folder, "homes", name);

/** The command `cortensor-node`, from the clone unless another script is given. */
function cortensorNode(args: readonly string[], script = nodeScript): Child {
  return new Child(projectNode, ["--disable-warning=ExperimentalWarning", script, ...args], { env: devnet.env });
}

function startNode(name: string, { token, router = devnet.origin, script }: Started = {}): Child {
  const join = token === undefined ? [] : ["--token", token];
  const size = ["--slots", "1", "--threads", "1", "--context", String(contextTokens)];
  const args = [
    "start",
    "--router",
    router,
    ...join,
    "--home",
    home(name),
    "--name",
    name,
    "--model",
    modelPath,
    ...size,
  ];
  return cortensorNode(args, script);
}

interface Started {
  token?: string;
  router?: string;
  script?: string;
}

async function invite(maxNodes = 1): Promise<{ id: string; token: string }> {
  const { id, token } = await admin.create("invites", { name: "tests", max_nodes: maxNodes });
  if (token === undefined) throw new Error("The router gave an invite without its token.");
  return { id, token };
}

/** Resolves once this node serves; throws what it said where it ends instead. */
async function serving(node: Child, name: string): Promise<void> {
  await until(
    `${name} serves`,
    () => {
      if (node.hasExited) throw new Error(`${name} ended:\n${node.said}`);
      const status = readNodeStatus(home(name));
      // Welcomed is not yet on offer.
      return status?.pid === node.pid && status.state === "active" && devnet.hasLiveNodes(model, 1);
    },
    { since: () => node.said },
  );
}

async function statusOf(name: string): Promise<{ code: number | null; said: string }> {
  const child = cortensorNode(["status", "--home", home(name)]);
  const { code } = await child.exited;
  return { code, said: child.said };
}

const ask = (maxTokens: number) =>
  client.chat.completions.create({ model, messages: [{ role: "user", content: "Hello" }], max_tokens: maxTokens });

describe("a node that may not join ends and says why", () => {
  test.each<[why: string, token: () => Promise<string | undefined>, says: RegExp]>([
    ["it has no invite", async () => undefined, /new here and needs an invite: start it with --token inv-…/],
    ["its invite is no invite", async () => "hello", /not known here\. Copy the whole inv-… text/],
    ["its invite never was", async () => `inv-abcd-${"x".repeat(32)}`, /not known here\. Copy the whole inv-… text/],
    ["its invite is an API key", async () => devnet.apiKey, /not known here\. Copy the whole inv-… text/],
    [
      "its invite was revoked",
      async () => {
        const { id, token } = await invite();
        await admin.revoke("invites", id);
        return token;
      },
      /was revoked\. Ask the router's admin for a new one/,
    ],
  ])("when %s", async (_, token, says) => {
    const given = await token();
    const name = "stranger";
    const node = startNode(name, given === undefined ? {} : { token: given });
    expect((await node.exited).code).toBe(1);
    expect(node.stdout).toContain("refuses this node (invalid_invite)");
    expect(node.stdout).toMatch(says);
    // A sentence, not a trace.
    expect(node.said).not.toContain("    at ");
    expect(await statusOf(name)).toEqual({ code: 1, said: expect.stringMatching(/^state +refused$/m) });
  });

  test("when its invite has brought in as many nodes as it may; those stay, and come back without it", async () => {
    const { token } = await invite();
    const first = startNode("first", { token });
    await serving(first, "first");
    const second = startNode("second", { token });
    expect((await second.exited).code).toBe(1);
    expect(second.stdout).toMatch(/brought in as many nodes as it may\. Ask the router's admin for a new one/);
    expect((await ask(4)).usage?.completion_tokens).toBe(4);
    first.process.kill("SIGTERM");
    expect((await first.exited).code).toBe(0);
    const again = startNode("first");
    await serving(again, "first");
    again.process.kill("SIGTERM");
    expect((await again.exited).code).toBe(0);
  });
});

test("status tells by its exit code whether the node works: 1 before, 0 while, 1 after, 1 when it was killed", async () => {
  expect(await statusOf("lone")).toEqual({ code: 1, said: expect.stringContaining("No node has run from") });
  const { token } = await invite();
  const node = startNode("lone", { token });
  await serving(node, "lone");
  const active = await statusOf("lone");
  expect(active).toEqual({ code: 0, said: expect.stringMatching(/^state +active, process \d+$/m) });
  expect(active.said).toContain(`${model} (1 slots,`);
  node.process.kill("SIGTERM");
  expect((await node.exited).code).toBe(0);
  expect(await statusOf("lone")).toEqual({ code: 1, said: expect.stringMatching(/^state +stopped$/m) });
  const again = startNode("lone");
  await serving(again, "lone");
  again.process.kill("SIGKILL");
  await again.exited;
  expect(await statusOf("lone")).toEqual({ code: 1, said: expect.stringMatching(/^state +gone without a word$/m) });
});

test("a node that cannot reach its router keeps dialling, says so, and still ends when told to", async () => {
  // Port 9 (discard) answers nobody here.
  const node = startNode("far", { token: (await invite()).token, router: "http://127.0.0.1:9" });
  await until("it has dialled twice", () => (node.stdout.match(/dialling again/g)?.length ?? 0) >= 2, {
    since: () => node.said,
  });
  expect(await statusOf("far")).toEqual({
    code: 1,
    said: expect.stringMatching(/^state +connecting, process \d+\n.*^problem +.*ECONNREFUSED/ms),
  });
  node.process.kill("SIGTERM");
  expect((await node.exited).code).toBe(0);
});

test("a second node from the home of one that runs is refused and harms nothing", async () => {
  const node = startNode("shared", { token: (await invite()).token });
  await serving(node, "shared");
  const second = startNode("shared");
  expect((await second.exited).code).toBe(1);
  expect(second.stdout.trim()).toBe(
    `A node already runs from ${home("shared")} (process ${node.pid}). Stop it, or give this one its own --home.`,
  );
  expect((await statusOf("shared")).code).toBe(0);
  expect((await ask(4)).usage?.completion_tokens).toBe(4);
  node.process.kill("SIGTERM");
  expect((await node.exited).code).toBe(0);
});

test("a node told to end finishes the stream it runs, takes nothing more, and ends with 0", async () => {
  const node = startNode("drained", { token: (await invite()).token });
  await serving(node, "drained");
  const maxTokens = 2_000;
  const stream = await client.chat.completions.create({
    ...{ model, messages: [{ role: "user", content: "Hello" }], max_tokens: maxTokens },
    stream: true,
    stream_options: { include_usage: true },
  });
  let refused: Promise<unknown> | undefined;
  let finishReason: string | null | undefined;
  let completionTokens: number | undefined;
  for await (const chunk of stream) {
    finishReason ??= chunk.choices[0]?.finish_reason;
    completionTokens ??= chunk.usage?.completion_tokens;
    if (chunk.choices[0]?.delta.content && refused === undefined) {
      node.process.kill("SIGTERM");
      refused = until("it takes nothing more", () => node.stdout.includes("taking no more"))
        .then(() => ask(4))
        .catch((error: unknown) => error);
    }
  }
  expect({ finishReason, completionTokens }).toEqual({ finishReason: "length", completionTokens: maxTokens });
  expect(await refused).toBeInstanceOf(OpenAI.APIError);
  expect(await refused).toMatchObject({ status: 503, code: "no_live_node" });
  expect((await node.exited).code).toBe(0);
  expect(node.stdout).toContain("SIGTERM: finishing 1 running tasks, taking no more");
  expect(readNodeStatus(home("drained"))).toMatchObject({ state: "stopped", tasksDone: 1, tasksFailed: 0 });
});

test("a node from the packed package, with no clone around it, joins and answers", async () => {
  const unpacked = join(folder, "unpacked");
  mkdirSync(unpacked);
  const pack = new Child("npm", ["pack", "--silent", "--pack-destination", folder], {
    cwd: join(clone, "worker-node"),
  });
  expect(await pack.exited).toMatchObject({ code: 0 });
  const tarball = z.string().endsWith(".tgz").parse(pack.stdout.trim().split("\n").at(-1));
  const unpack = new Child("tar", ["-xzf", join(folder, tarball), "-C", unpacked]);
  expect(await unpack.exited).toMatchObject({ code: 0 });
  // Its dependencies as an installation would have them: beside it.
  symlinkSync(join(clone, "node_modules"), join(unpacked, "node_modules"));
  const script = join(unpacked, "package/bin/cortensor-node.js");

  const list = cortensorNode(["models", "list"], script);
  expect((await list.exited).code).toBe(0);
  expect(list.stdout).toMatch(/^smollm2-135m-instruct +chat/m);

  const node = startNode("packed", { token: (await invite()).token, script });
  await serving(node, "packed");
  expect((await ask(4)).usage?.completion_tokens).toBe(4);
  node.process.kill("SIGTERM");
  expect((await node.exited).code).toBe(0);
  rmSync(join(unpacked, "node_modules"));
});
