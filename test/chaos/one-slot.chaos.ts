import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { TaskId } from "../../core/ids.ts";
import { findCatalogueModel } from "../../core/model/catalogue.ts";
import { poolName } from "../../core/node-pool/pool-name.ts";
import { until } from "../e2e/wait.ts";
import type { ChaosNode } from "./chaos-node.ts";
import { ChaosNetwork, type Consumer, model } from "./network.ts";
import { idsOf } from "./node-wire.ts";
import { longAnswer } from "./prompts.ts";

/** From the client's going away to the end of the work in the node's own log. */
const stopWithinMs = 1_000;
/** Nothing tells a client that it is queued; it is when every slot is taken and it has not been answered for a while. */
const queuedAfterMs = 700;

let network: ChaosNetwork;
let node: ChaosNode;
let consumer: Consumer;

/** One node of one slot: whoever comes second waits. */
beforeAll(async () => {
  network = await ChaosNetwork.start({ nodes: 1, slots: 1, contextTokens: 4_096 });
  const [only] = network.nodes;
  if (only === undefined) throw new Error("There is one node.");
  node = only;
});
afterAll(() => network.stop());
afterEach(async ({ task }) => {
  if (task.result?.state === "fail") console.error(network.lastWords());
  expect(network.wireProblems).toEqual([]);
});

/** Each test's tasks are its own account's. */
async function newConsumer(name: string, options?: { isThroughProxy: boolean }): Promise<void> {
  consumer = await network.newConsumer(name, options);
}

/**
 * The client's connection is reset, and when. While the router has nothing to write, an orderly close looks to workerd
 * like a client that has said all and listens; a reset is what it can tell.
 */
function reset(): number {
  network.clientProxy.cut();
  return Date.now();
}

/** The node's only task, once it has been handed one that is not among these. */
function handed(before: ReadonlySet<TaskId> = new Set()): Promise<TaskId> {
  return until(
    "the node was handed the task",
    () => node.wire.running.find((each) => !before.has(each.taskId))?.taskId,
  );
}

/** The one task of the account as recorded, with its attempts and usage. */
async function onlyRecord() {
  const record = await network.recordOf(consumer, 1);
  expect(record.tasks).toHaveLength(1);
  return record;
}

test("a client that leaves in mid-stream stops the node within a second, and what was made is recorded", async () => {
  await newConsumer("mid-stream");
  const stream = consumer.stream({ prompt: longAnswer(0), maxTokens: 300 });
  const taskId = await stream.begun();
  await stream.hasText(100);
  const leftAtMs = stream.leave();
  const { output, atMs } = await node.loggedEnd(taskId, 10_000);
  expect(atMs - leftAtMs).toBeLessThan(stopWithinMs);
  expect(output.outcome).toBe("cancelled");
  expect(output.tokenIds.length).toBeGreaterThan(0);
  expect(output.tokenIds.length).toBeLessThan(300);
  expect(network.textOf(output.tokenIds).startsWith(stream.text)).toBe(true);

  const { tasks, attempts, usage } = await onlyRecord();
  const counts = { promptTokens: output.promptTokens, completionTokens: output.tokenIds.length };
  expect(tasks).toMatchObject([{ taskId, state: "cancelled", ...counts }]);
  expect(attempts).toMatchObject([{ taskId, nodeId: node.nodeId, ...counts }]);
  expect(usage).toMatchObject([{ taskId, ...counts }]);
});

/** About 3,000 tokens: a quarter of a minute for one thread. */
const longPrompt = "The quick brown fox jumps over the lazy dog. ".repeat(300);

test("a client that leaves during prefill stops the node within a second, and no token is recorded", async () => {
  await newConsumer("prefill");
  const stream = consumer.stream({ prompt: longPrompt, maxTokens: 300 });
  const taskId = await stream.begun();
  // The node is at it, and far from done.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const leftAtMs = stream.leave();
  const { output, atMs } = await node.loggedEnd(taskId, 30_000);
  expect(atMs - leftAtMs).toBeLessThan(stopWithinMs);
  expect(output).toMatchObject({ outcome: "cancelled", tokenIds: [] });
  expect(output.promptTokens).toBeGreaterThan(2_000);

  const { tasks, attempts } = await onlyRecord();
  expect(tasks).toMatchObject([{ taskId, state: "cancelled", completionTokens: 0 }]);
  expect(attempts).toMatchObject([{ taskId, nodeId: node.nodeId, completionTokens: 0 }]);
});

test.each([
  ["streamed", true],
  ["whole", false],
] as const)("a client that leaves while its %s request is queued costs no node anything", async (_what, isStream) => {
  await newConsumer("the one served");
  const occupying = consumer;
  const busy = occupying.stream({ prompt: longAnswer(1), maxTokens: 300 });
  const busyTaskId = await busy.begun();
  await newConsumer("the one queued", { isThroughProxy: true });
  const queued = consumer.client.chat.completions
    .create({ model, messages: [{ role: "user", content: "Hello" }], max_tokens: 5, stream: isStream })
    .catch((error: unknown) => error);
  await Promise.race([queued, new Promise((resolve) => setTimeout(resolve, queuedAfterMs))]);
  reset();
  expect(await queued).toBeInstanceOf(Error);
  const { tasks, attempts, usage } = await onlyRecord();
  expect(tasks).toMatchObject([{ state: "cancelled", promptTokens: 0, completionTokens: 0 }]);
  expect([attempts, usage]).toEqual([[], []]);

  busy.leave();
  await node.loggedEnd(busyTaskId, 10_000);
  // The slot is the next one's at once, and the one who left is not served before.
  const next = await occupying.stream({ prompt: "Say hello.", maxTokens: 4 }).done;
  expect(next.error).toBeUndefined();
  expect(node.wire.attemptsOf(tasks[0]?.taskId ?? busyTaskId)).toHaveLength(tasks[0] === undefined ? 1 : 0);
  expect(node.outputs().map(({ taskId }) => taskId)).not.toContain(tasks[0]?.taskId);
});

test("a client that closes in good order while its stream is queued stops its node within a second of the ack", async () => {
  await newConsumer("the one served");
  const busy = consumer.stream({ prompt: longAnswer(1), maxTokens: 300 });
  const busyTaskId = await busy.begun();
  await newConsumer("the one queued");
  const queued = consumer.stream({ prompt: longAnswer(2), maxTokens: 300 });
  await new Promise((resolve) => setTimeout(resolve, queuedAfterMs));
  queued.leave();
  expect((await queued.done).taskId).toBeUndefined();
  busy.leave();
  await node.loggedEnd(busyTaskId, 10_000);
  // Nothing was written to it, so the router may learn only by its first words that nobody listens.
  const { tasks, usage } = await onlyRecord();
  expect(tasks).toMatchObject([{ state: "cancelled" }]);
  for (const attempt of network.attemptsOf(tasks[0]?.taskId ?? busyTaskId)) {
    const { output } = await node.loggedEnd(attempt.taskId, 10_000);
    expect(output).toMatchObject({ attemptId: attempt.attemptId, outcome: "cancelled" });
    expect((attempt.cancelledAtMs ?? Number.POSITIVE_INFINITY) - (attempt.ackedAtMs ?? 0)).toBeLessThan(stopWithinMs);
    expect(usage).toMatchObject([{ completionTokens: output.tokenIds.length }]);
  }
});

test("a request that is queued when its pool is reset is served when there is room", async () => {
  await newConsumer("the one served");
  const busy = consumer.stream({ prompt: longAnswer(1), maxTokens: 300 });
  const busyTaskId = await busy.begun();
  await newConsumer("the one queued");
  const queued = consumer.stream({ prompt: "Say hello.", maxTokens: 4 });
  await new Promise((resolve) => setTimeout(resolve, queuedAfterMs));
  const file = findCatalogueModel(model);
  if (file === undefined) throw new Error("The model is in the catalogue.");
  await network.abortObject("POOL", poolName(file.fileSha256));
  busy.leave();
  await node.loggedEnd(busyTaskId, 10_000);
  expect(await queued.done).toMatchObject({ error: undefined, usage: { completionTokens: 4 } });
  const { tasks, attempts } = await onlyRecord();
  expect(tasks).toMatchObject([{ state: "completed" }]);
  expect(attempts.at(-1)).toMatchObject({ state: "committed", nodeId: node.nodeId });
});

test("a client that leaves a whole answer stops the node within a second, and what was made is recorded", async () => {
  await newConsumer("whole", { isThroughProxy: true });
  const before = new Set(node.wire.running.map(({ taskId }) => taskId));
  const asked = consumer.client.chat.completions
    .create({ model, messages: [{ role: "user", content: longAnswer(2) }], temperature: 0, max_tokens: 300 })
    .catch((error: unknown) => error);
  const taskId = await handed(before);
  await until("the node has made some tokens", () =>
    network.attemptsOf(taskId).some((each) => idsOf(each).length > 20),
  );
  const leftAtMs = reset();
  expect(await asked).toBeInstanceOf(Error);
  const { output, atMs } = await node.loggedEnd(taskId, 10_000);
  expect(atMs - leftAtMs).toBeLessThan(stopWithinMs);
  expect(output.outcome).toBe("cancelled");
  expect(output.tokenIds.length).toBeLessThan(300);
  const { tasks, usage } = await onlyRecord();
  const counts = { promptTokens: output.promptTokens, completionTokens: output.tokenIds.length };
  expect(tasks).toMatchObject([{ taskId, state: "cancelled", ...counts }]);
  expect(usage).toMatchObject([{ taskId, ...counts }]);
});
