import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { ModelCard } from "../../core/model/model-card.ts";
import type { TaskRecord } from "../../core/record/entry.ts";
import type { TaskFrame } from "../../core/wire/router-frame.ts";
import {
  accountStub,
  chat,
  contentOf,
  dealer,
  listedCards,
  newKey,
  nodeStub,
  outboxOf,
  pooled,
  untilWaiting,
} from "./deployment.ts";
import { closeNodes, type FakeNode } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";
import { until } from "./until.ts";

// Down, so that records can be read where they wait.
const postgres = standInForPostgres();
beforeEach(() => {
  postgres.isDown = true;
  vi.spyOn(console, "error").mockReturnValue(undefined);
});
afterEach(async () => {
  await closeNodes();
  vi.restoreAllMocks();
});

let nextCard: () => ModelCard;
let account: Awaited<ReturnType<typeof newKey>>;
beforeAll(async () => {
  nextCard = dealer(await listedCards(8));
  account = await newKey();
});

/** A stream under way: its node has sent `first`, and its reader has seen it. */
async function reading(node: FakeNode, card: ModelCard): Promise<{ task: TaskFrame; leave: () => Promise<void> }> {
  const asked = chat(account.key, card, "Tell me a long story", { stream: true });
  const task = await node.next("task");
  node.ack(task, 11);
  node.delta(task, 0, { text: "first", tokenIds: [1, 2] });
  const body = (await asked).body;
  if (body === null) throw new Error("the stream has no body");
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let seen = "";
  while (!seen.includes("first")) seen += decoder.decode((await reader.read()).value);
  return { task, leave: () => reader.cancel() };
}

/** What is recorded of a task by a node's object or by its account. */
function recordOf(task: { taskId: string }, node: FakeNode): Promise<TaskRecord> {
  return until(async () => {
    const entries = [...(await outboxOf(nodeStub(node))), ...(await outboxOf(accountStub(account.accountId)))];
    return entries.filter((entry) => entry.kind === "task").find((entry) => entry.taskId === task.taskId);
  }, `the record of ${task.taskId}`);
}

test("a reader that leaves stops the node, and what was done until then is recorded as cancelled", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const { task, leave } = await reading(node, card);
  await leave();
  expect(await node.next("cancel")).toEqual({ type: "cancel", attemptId: task.attemptId });
  node.delta(task, 1, { text: " and", tokenIds: [3] });
  node.commit(task, { finishReason: "cancelled", promptTokens: 11, completionTokens: 3 });
  expect(await recordOf(task, node)).toMatchObject({
    state: "cancelled",
    finishReason: null,
    errorCode: null,
    promptTokens: 11,
    completionTokens: 3,
    accountId: account.accountId,
    keyId: account.id,
    attempts: [{ nodeId: node.nodeId, state: "rejected", reason: "cancelled", completionTokens: 3 }],
  });
});

test("a cancelled task is recorded once", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const { task, leave } = await reading(node, card);
  await leave();
  await node.next("cancel");
  node.commit(task, { finishReason: "cancelled", promptTokens: 11, completionTokens: 2 });
  node.commit(task, { finishReason: "cancelled", promptTokens: 11, completionTokens: 2 });
  await recordOf(task, node);
  const all = [...(await outboxOf(nodeStub(node))), ...(await outboxOf(accountStub(account.accountId)))];
  expect(all.filter((entry) => entry.kind === "task" && entry.taskId === task.taskId)).toHaveLength(1);
});

test("a node that is gone when its task is cancelled leaves a record of what it had sent", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const { task, leave } = await reading(node, card);
  await leave();
  await node.next("cancel");
  node.close();
  expect(await recordOf(task, node)).toMatchObject({ state: "cancelled", promptTokens: 11, completionTokens: 2 });
});

test("no other node is asked for a task that was cancelled", async () => {
  const card = nextCard();
  const [first, second] = [await pooled(card, 1), await pooled(card, 0)];
  const { task, leave } = await reading(first, card);
  await leave();
  await first.next("cancel");
  first.commit(task, { finishReason: "cancelled", promptTokens: 11, completionTokens: 2 });
  await recordOf(task, first);
  second.pull(card.fileSha256, 1);
  const asked = chat(account.key, card, "Hello");
  const other = await second.next("task");
  expect(other.taskId).not.toBe(task.taskId);
  second.answer(other, "Hello");
  await contentOf(await asked);
});

test("a node that was cancelled takes the next task on its next credit", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const { task, leave } = await reading(node, card);
  await leave();
  await node.next("cancel");
  node.commit(task, { finishReason: "cancelled", promptTokens: 11, completionTokens: 2 });
  const asked = chat(account.key, card, "Hello");
  await untilWaiting(card, 1);
  node.pull(card.fileSha256, 2);
  node.answer(await node.next("task"), "Hello");
  expect((await contentOf(await asked)).content).toBe("Hello");
});

test("a reader that leaves is no error of ours", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const { task, leave } = await reading(node, card);
  const log = vi.spyOn(console, "error").mockReturnValue(undefined);
  await leave();
  await node.next("cancel");
  for (let seq = 1; seq < 5; seq += 1) node.delta(task, seq, { text: "late", tokenIds: [1] });
  node.commit(task, { finishReason: "cancelled", promptTokens: 11, completionTokens: 6 });
  expect(await recordOf(task, node)).toMatchObject({ completionTokens: 6 });
  const faults = log.mock.calls.filter(([message]) => String(message).startsWith("edge:"));
  expect(faults).toEqual([]);
});
