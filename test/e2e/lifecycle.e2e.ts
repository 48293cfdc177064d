import { rmSync } from "node:fs";
import { eq } from "drizzle-orm";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TaskId, taskIdSchema } from "../../core/ids.ts";
import { tasks } from "../../db/schema/tasks.ts";
import { RouterAdmin } from "../../devnet/router-admin.ts";
import { loadState } from "../../devnet/state.ts";
import { type DevnetOptions, DevnetProcess, newFolder, tinyChat } from "./devnet-process.ts";
import { until } from "./wait.ts";

const model = "tiny-chat-1";
const contextTokens = 32_768;

/** One state folder for all that follows, as its owner would have it who starts and stops all day. */
let options: DevnetOptions;
let devnet: DevnetProcess | undefined;
let elsewhere: string;

beforeAll(() => {
  const folder = newFolder();
  elsewhere = newFolder();
  options = { folder, models: [tinyChat(folder, { contextTokens })], contextTokens };
});
afterAll(async () => {
  await devnet?.remove();
  rmSync(elsewhere, { recursive: true, force: true });
});

const messages = [{ role: "user" as const, content: "Hello" }];

async function start(): Promise<DevnetProcess> {
  devnet = await DevnetProcess.start(options);
  return devnet;
}

const clientOf = ({ baseUrl }: DevnetProcess, apiKey: string) =>
  new OpenAI({ baseURL: baseUrl, apiKey, maxRetries: 0 });

/** A task that completes, and its id once the record has it. */
async function serve(running: DevnetProcess, apiKey = running.apiKey): Promise<TaskId> {
  const answer = await clientOf(running, apiKey).chat.completions.create({ model, messages, max_tokens: 8 });
  expect(answer.usage?.completion_tokens).toBe(8);
  const taskId = taskIdSchema.parse(answer.id.replace("chatcmpl-", "task_"));
  await until("the task is in the record", () => isRecorded(running, taskId));
  return taskId;
}

async function isRecorded(running: DevnetProcess, taskId: TaskId): Promise<boolean> {
  const [row] = await running.database().select().from(tasks).where(eq(tasks.taskId, taskId));
  return row?.state === "completed";
}

/** The steps at which a start says where it is, in its own words. */
test.each([
  ["before its first word", undefined],
  ["while Postgres starts", "postgres  starting"],
  ["once the tables are made", "postgres  applied"],
  ["while the router starts", "router    starting"],
  ["while the nodes start", "nodes     starting"],
])("Ctrl-C during a first start, %s, leaves no process", async (_, step) => {
  const starting = DevnetProcess.launch(options);
  devnet = starting;
  if (step !== undefined) {
    await until("the start has come so far", () => {
      // A start that follows one that was stopped late has no tables left to make.
      return starting.child.stdout.includes(step) || starting.child.stdout.includes("nodes     starting");
    });
  }
  // Before it listens for signals one simply ends it, without a code.
  expect(step === undefined ? [0, null] : [0]).toContain(await starting.stop());
  expect(starting.child.stderr).toBe("");
});

test("a start that follows serves, and Ctrl-C at rest stops it all", async () => {
  const running = await start();
  await serve(running);
  expect(await running.stop()).toBe(0);
  expect(running.child.stderr).toBe("");
});

test("keys, nodes and the record are kept from one start to the next", async () => {
  const first = await start();
  const { apiKey, adminKey, nodes } = first.running;
  const taskId = await serve(first);
  const other = await new RouterAdmin(first.origin, adminKey).create("keys", { name: "another" });
  await first.stop();

  const second = await start();
  expect(second.running).toMatchObject({ apiKey, adminKey });
  expect(second.running.nodes.map(({ operator }) => operator)).toEqual(nodes.map(({ operator }) => operator));
  expect(await isRecorded(second, taskId)).toBe(true);
  await serve(second, apiKey);
  await serve(second, other.key);
  const keys = await new RouterAdmin(second.origin, adminKey).list("keys");
  expect(keys.map(({ name }) => name).sort()).toEqual(["another", "devnet"]);
});

test("a second start on the port of one that runs says so, with the mend, and harms nothing", async () => {
  if (devnet === undefined) throw new Error("The test before leaves one running.");
  const port = Number(new URL(devnet.origin).port);
  const second = DevnetProcess.launch({ ...options, folder: elsewhere, port });
  const { code } = await second.child.exited;
  expect({ code, said: second.child.stderr.trim() }).toEqual({
    code: 1,
    said: `Port ${port} is taken. Stop what uses it, or choose another: npm start -- --port ${port + 1}`,
  });
  await second.allGone();
  await serve(devnet);
});

test("a second start from the state folder of one that runs says so, with the mend, and harms nothing", async () => {
  if (devnet === undefined) throw new Error("The test before leaves one running.");
  const { baseUrl, stateDir, child } = devnet;
  const before = { state: loadState(stateDir), processes: devnet.processes() };
  const second = DevnetProcess.launch(options);
  const { code } = await second.child.exited;
  expect({ code, said: second.child.stderr.trim() }).toEqual({
    code: 1,
    said: `A devnet already runs from ${stateDir} at ${baseUrl}. Use it, or stop it with: kill ${child.pid}`,
  });
  expect({ state: loadState(stateDir), processes: devnet.processes() }).toEqual(before);
  // Whoever looks for what runs here still finds it.
  const third = DevnetProcess.launch(options);
  await third.child.exited;
  expect(third.child.stderr).toContain(baseUrl);
  await serve(devnet);
});

test("Ctrl-C during a stream ends the stream and leaves no process", async () => {
  if (devnet === undefined) throw new Error("The test before leaves one running.");
  const stream = await clientOf(devnet, devnet.apiKey).chat.completions.create({ model, messages, stream: true });
  const running = devnet;
  let stopped: Promise<number | null> | undefined;
  const end = await (async () => {
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) stopped ??= running.stop();
    return "whole";
  })().catch(() => "cut off");
  expect(end).toBe("cut off");
  expect(await stopped).toBe(0);
});

test("a devnet killed without a word takes its processes with it, and the next start has all that was recorded", async () => {
  const first = await start();
  const taskId = await serve(first);
  const { apiKey } = first;
  first.child.process.kill("SIGKILL");
  await first.child.exited;
  await first.allGone();

  const second = await start();
  expect(await isRecorded(second, taskId)).toBe(true);
  await serve(second, apiKey);
});

test("a devnet whose workerd is killed says so, and serves again at the same address", async () => {
  if (devnet === undefined) throw new Error("The test before leaves one running.");
  const { child } = devnet;
  const before = devnet.processOf("workerd serve").pid;
  process.kill(before, "SIGKILL");
  await until("workerd is started again", () => child.stdout.includes("ended by itself and was started again"));
  expect(devnet.processOf("workerd serve").pid).not.toBe(before);
  const [node] = devnet.running.nodes;
  if (node === undefined) throw new Error("It has a node.");
  const running = devnet;
  await until("its node is back", () => running.nodeStatus(node.name).state === "active");
  await serve(devnet);
});

test("a devnet that loses its router for good ends, says why, and leaves no process", async () => {
  if (devnet === undefined) throw new Error("The test before leaves one running.");
  process.kill(devnet.processOf("devnet/router/main.ts").pid, "SIGKILL");
  expect((await devnet.child.exited).code).toBe(1);
  expect(devnet.child.stdout).toMatch(/router +ended by itself/);
  await devnet.allGone();
});

test("of two starts at once from one state folder one serves, and the other says who has it", async () => {
  const both = [DevnetProcess.launch(options), DevnetProcess.launch(options)];
  const loser = await until("one gives way", () => both.find(({ child }) => child.hasExited), { withinMs: 60_000 });
  const winner = both.find((each) => each !== loser);
  if (winner === undefined) throw new Error("There are two.");
  devnet = winner;
  expect((await loser.child.exited).code).toBe(1);
  expect(loser.child.stderr.trim()).toBe(
    `The data directory ${winner.stateDir} is in use by process ${winner.child.pid}; stop that process or choose another directory.`,
  );
  await winner.ready();
  await serve(winner);
});
