import { readFileSync } from "node:fs";
import { join } from "node:path";
import { asc, eq } from "drizzle-orm";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { type TaskId, taskIdSchema } from "../../core/ids.ts";
import { attempts } from "../../db/schema/attempts.ts";
import { tasks } from "../../db/schema/tasks.ts";
import { usage } from "../../db/schema/usage.ts";
import { readTokenText } from "../chaos/token-text.ts";
import { DevnetProcess, newFolder, tinyChat } from "./devnet-process.ts";
import { unreadBytes, writtenBytes } from "./processes.ts";
import { until } from "./wait.ts";

const model = "tiny-chat-1";
const contextTokens = 32_768;
/** Far more bytes than anything a router sends besides tasks. */
const prompt = "a long question ".repeat(200);
const messages = [{ role: "user" as const, content: prompt }];

let devnet: DevnetProcess;
let client: OpenAI;
let textOf: (tokenIds: readonly number[]) => string;

// One slot a node, so that a node that is busy takes nothing and the next task's place is known.
beforeAll(async () => {
  const folder = newFolder();
  const modelPath = tinyChat(folder, { contextTokens });
  textOf = await readTokenText(modelPath);
  devnet = await DevnetProcess.start({ folder, models: [modelPath], nodes: 2, slots: 1, contextTokens });
  client = new OpenAI({ baseURL: devnet.baseUrl, apiKey: devnet.apiKey, maxRetries: 0, timeout: 120_000 });
});
afterAll(() => devnet.remove());

interface Answer {
  taskId: TaskId;
  text: string;
  completionTokens: number | undefined;
}

const taskIdOf = (id: string) => taskIdSchema.parse(id.replace("chatcmpl-", "task_"));

async function askWhole(maxTokens: number): Promise<Answer> {
  const answer = await client.chat.completions.create({ model, messages, temperature: 0, max_tokens: maxTokens });
  return {
    taskId: taskIdOf(answer.id),
    text: answer.choices[0]?.message.content ?? "",
    completionTokens: answer.usage?.completion_tokens,
  };
}

async function askStream(maxTokens: number): Promise<Answer> {
  const stream = await client.chat.completions.create({
    ...{ model, messages, temperature: 0, max_tokens: maxTokens },
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let id = "";
  let completionTokens: number | undefined;
  for await (const chunk of stream) {
    id = chunk.id;
    text += chunk.choices[0]?.delta.content ?? "";
    completionTokens ??= chunk.usage?.completion_tokens;
  }
  return { taskId: taskIdOf(id), text, completionTokens };
}

const names = () => devnet.running.nodes.map((node) => node.name);
const pidOf = (name: string) => devnet.nodeStatus(name).pid;
const nodeIdOf = (name: string) => devnet.nodeStatus(name).nodeId;

/** More than a node writes when it has nothing to do, and less than a few hundred tokens of an answer. */
const answerBytes = 6_000;

/** From this call on: the node that is in the midst of an answer, once one is. */
function watchForBusyNode(): () => Promise<string> {
  const before = new Map(names().map((name) => [name, writtenBytes(pidOf(name))]));
  const isBusy = (name: string) => writtenBytes(pidOf(name)) - (before.get(name) ?? 0) > answerBytes;
  return () => until("a node is in the midst of an answer", () => names().find(isBusy));
}

function otherThan(name: string): string {
  const other = names().find((each) => each !== name);
  if (other === undefined) throw new Error("There is one node only.");
  return other;
}

/** Gives one node, whichever it is, something to do until it is released. */
async function occupy(): Promise<{ name: string; release: () => Promise<void> }> {
  const busyNode = watchForBusyNode();
  const controller = new AbortController();
  const stream = await client.chat.completions.create(
    { model, messages: [{ role: "user", content: "Go on and on." }], stream: true },
    { signal: controller.signal },
  );
  const reading = (async () => {
    for await (const _chunk of stream);
  })();
  return {
    name: await busyNode(),
    release: async () => {
      controller.abort();
      await reading;
    },
  };
}

/** The record of a task once it has ended, with its attempts in the order in which they were made. */
async function recordOf(taskId: TaskId) {
  const database = devnet.database();
  const task = await until("the task is in the record", async () => {
    const [row] = await database.select().from(tasks).where(eq(tasks.taskId, taskId));
    return row !== undefined && row.state !== "queued" && row;
  });
  return {
    task,
    attempts: await database
      .select()
      .from(attempts)
      .where(eq(attempts.taskId, taskId))
      .orderBy(asc(attempts.assignedAtMs)),
    usage: await database.select().from(usage).where(eq(usage.taskId, taskId)),
  };
}

const outputSchema = z.object({ taskId: taskIdSchema, outcome: z.string(), tokenIds: z.array(z.int()) });

/** What a node put out of a task, by its own log. */
function outputOf(taskId: TaskId, name: string) {
  const log = join(devnet.stateDir, name, "outputs.jsonl");
  return until("the node has logged the task", () =>
    readFileSync(log, "utf8")
      .split("\n")
      // A line that is still being written has no end yet.
      .slice(0, -1)
      .flatMap((line) => (line.includes(taskId) ? outputSchema.parse(JSON.parse(line)) : []))
      .at(-1),
  );
}

test.each([
  ["a stream", askStream],
  ["a whole answer", askWhole],
])(
  "%s comes entire from the other node when the node that has the task is killed before its first token",
  async (_, ask) => {
    const busy = await occupy();
    const victim = otherThan(busy.name);
    const ids = [nodeIdOf(victim), nodeIdOf(busy.name)];
    process.kill(pidOf(victim), "SIGSTOP");
    const asked = ask(64);
    await until("the node was handed the task", () => unreadBytes(pidOf(victim)) > prompt.length);
    process.kill(pidOf(victim), "SIGKILL");
    await busy.release();
    const answer = await asked;
    expect(answer.completionTokens).toBe(64);
    const { tokenIds } = await outputOf(answer.taskId, busy.name);
    expect(tokenIds).toHaveLength(64);
    expect(answer.text).toBe(textOf(tokenIds));
    const record = await recordOf(answer.taskId);
    expect(record.task).toMatchObject({ state: "completed", completionTokens: 64, errorCode: null });
    expect(record.attempts).toMatchObject([
      { nodeId: ids[0], state: "lost", completionTokens: 0, firstTokenAtMs: null, reason: expect.any(String) },
      { nodeId: ids[1], state: "committed", completionTokens: 64, reason: null },
    ]);
    expect(record.usage).toMatchObject([{ completionTokens: 64 }]);
    await devnet.restartNode(victim);
  },
);

test("a whole answer outlives a kill of its node in the midst of generating", async () => {
  const maxTokens = 2_500;
  const busyNode = watchForBusyNode();
  const asked = askWhole(maxTokens);
  const victim = await busyNode();
  const ids = [nodeIdOf(victim), nodeIdOf(otherThan(victim))];
  process.kill(pidOf(victim), "SIGKILL");
  const answer = await asked;
  expect(answer.completionTokens).toBe(maxTokens);
  const record = await recordOf(answer.taskId);
  expect(record.attempts).toMatchObject([
    { nodeId: ids[0], state: "lost", firstTokenAtMs: expect.any(Number) },
    { nodeId: ids[1], state: "committed" },
  ]);
  // The second node goes on after what the first had made.
  const [first, second] = record.attempts;
  expect(first?.completionTokens).toBeGreaterThan(0);
  expect((first?.completionTokens ?? 0) + (second?.completionTokens ?? 0)).toBe(maxTokens);
  expect(record.usage).toMatchObject([{ completionTokens: maxTokens }]);
  await devnet.restartNode(victim);
});

test("a stream of which the caller has seen a part goes on from the other node, and is billed once", async () => {
  const maxTokens = 2_500;
  const busyNode = watchForBusyNode();
  const asked = askStream(maxTokens);
  const victim = await busyNode();
  const ids = [nodeIdOf(victim), nodeIdOf(otherThan(victim))];
  process.kill(pidOf(victim), "SIGKILL");
  const answer = await asked;
  expect(answer.completionTokens).toBe(maxTokens);
  // Between two runs the text may differ where two tokens are about as likely: a prompt's kernels are not a token's.
  const { tokenIds } = await outputOf(answer.taskId, otherThan(victim));
  expect(answer.text.endsWith(textOf(tokenIds).replace(/^\uFFFD+/, ""))).toBe(true);
  const record = await recordOf(answer.taskId);
  expect(record.attempts[1]?.completionTokens).toBe(tokenIds.length);
  expect(record.attempts[0]?.completionTokens).toBe(maxTokens - tokenIds.length);
  expect(record.task).toMatchObject({ state: "completed", completionTokens: maxTokens, errorCode: null });
  expect(record.attempts).toMatchObject([
    { nodeId: ids[0], state: "lost" },
    { nodeId: ids[1], state: "committed" },
  ]);
  expect(record.usage).toMatchObject([{ completionTokens: maxTokens }]);
  await devnet.restartNode(victim);
});

test("a node that hangs is given up for the other, and what it says late counts for nothing", async () => {
  const busy = await occupy();
  const hung = otherThan(busy.name);
  const pid = pidOf(hung);
  process.kill(pid, "SIGSTOP");
  const asked = askWhole(32);
  await until("the node was handed the task", () => unreadBytes(pid) > prompt.length);
  await busy.release();
  const answer = await asked;
  process.kill(pid, "SIGCONT");
  const record = await recordOf(answer.taskId);
  expect(record.attempts).toMatchObject([
    { nodeId: nodeIdOf(hung), state: "lost" },
    { nodeId: nodeIdOf(busy.name), state: "committed", completionTokens: 32 },
  ]);
  const late = await outputOf(answer.taskId, hung);
  // It is told that nobody waits; a quick node is done before it hears of it.
  expect(["cancelled", "length"]).toContain(late.outcome);
  const second = await occupy();
  const third = await askWhole(8);
  await second.release();
  expect(third.completionTokens).toBe(8);
  const after = await recordOf(answer.taskId);
  expect(after).toEqual(record);
});

const envelopeSchema = z.strictObject({
  error: z.strictObject({
    message: z.string(),
    type: z.literal("service_unavailable_error"),
    param: z.null(),
    code: z.literal("no_live_node"),
  }),
});

test("with every node killed a caller is told to come back, and one node's start is all that is needed", async () => {
  const before = [devnet.child.pid, devnet.processOf("workerd serve").pid, devnet.processOf("postgres/main.ts").pid];
  for (const name of names()) process.kill(pidOf(name), "SIGKILL");
  for (const stream of [false, true]) {
    const response = await fetch(`${devnet.baseUrl}/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${devnet.apiKey}`, "content-type": "application/json" },
      body: JSON.stringify({ model, messages, stream }),
    });
    expect(response.status).toBe(503);
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    expect(response.headers.get("content-type")).toContain("application/json");
    expect(envelopeSchema.parse(await response.json()).error.message).toContain("Try again");
  }
  await devnet.restartNode("node-1");
  expect((await askWhole(8)).completionTokens).toBe(8);
  expect((await askStream(8)).completionTokens).toBe(8);
  expect(devnet.processes().filter(({ command }) => command.includes("cortensor-node.js"))).toHaveLength(1);
  expect([devnet.child.pid, devnet.processOf("workerd serve").pid, devnet.processOf("postgres/main.ts").pid]).toEqual(
    before,
  );
});
