import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { ModelCard } from "../../core/model/model-card.ts";
import { ChatStream } from "./chat-stream.ts";
import {
  accountStub,
  ask,
  chat,
  contentOf,
  dealer,
  listedCards,
  newKey,
  outboxOf,
  pooled,
  untilWaiting,
} from "./deployment.ts";
import { closeNodes, type FakeNode } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";
import { endsOf, recordOf } from "./record.ts";
import { askStream, begunStream, storyIds, storyOf, tell } from "./story.ts";
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
  nextCard = dealer(await listedCards(20));
  account = await newKey();
});

const tellers = (...nodes: FakeNode[]) => ({ nodes, accountId: account.accountId });

/** A request for a whole answer whose caller can leave; `left` resolves once it has. */
function askWhole(card: ModelCard): { leave: () => void; left: Promise<unknown> } {
  const caller = new AbortController();
  const body = { model: card.name, messages: [{ role: "user", content: "Tell me a story" }] };
  const left = ask("/v1/chat/completions", { key: account.key, body, signal: caller.signal }).catch(String);
  return { leave: () => caller.abort(), left };
}

test("a reader that leaves stops the node, and what was done until then is recorded as cancelled", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const { task, stream } = await begunStream(account.key, card, { node, pieces: 2 });
  await stream.leave();
  expect(await node.next("cancel")).toEqual({ type: "cancel", attemptId: task.attemptId });
  tell(node, task, { from: 2, to: 3 });
  node.commit(task, { finishReason: "cancelled", completionTokens: 3 });
  expect(await recordOf(task, tellers(node))).toMatchObject({
    state: "cancelled",
    finishReason: null,
    errorCode: null,
    promptTokens: 3,
    completionTokens: 3,
    accountId: account.accountId,
    keyId: account.id,
    attempts: [{ nodeId: node.nodeId, state: "rejected", reason: "cancelled", completionTokens: 3 }],
  });
});

test("a cancelled task is recorded once", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const { task, stream } = await begunStream(account.key, card, { node, pieces: 2 });
  await stream.leave();
  await node.next("cancel");
  for (let time = 0; time < 2; time += 1) node.commit(task, { finishReason: "cancelled", completionTokens: 2 });
  await recordOf(task, tellers(node));
  await node.untilHeard();
  expect(await endsOf(task, tellers(node))).toHaveLength(1);
});

test("a reader that leaves before the first token stops the node, and only its prompt is billed", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const asked = askStream(account.key, card);
  const task = await node.next("task");
  node.ack(task);
  await (await ChatStream.of(asked)).leave();
  expect(await node.next("cancel")).toEqual({ type: "cancel", attemptId: task.attemptId });
  node.commit(task, { finishReason: "cancelled", completionTokens: 0 });
  expect(await recordOf(task, tellers(node))).toMatchObject({
    state: "cancelled",
    promptTokens: 3,
    completionTokens: 0,
    attempts: [{ state: "rejected", reason: "cancelled", firstTokenAtMs: null }],
  });
  expect(await endsOf(task, tellers(node))).toHaveLength(1);
});

test.each<[when: string, pieces: number | null]>([
  ["before the node has said a word", null],
  ["before its first token", 0],
  ["in the middle of it", 2],
])("a caller of a whole answer that leaves %s stops the node, and what was done is billed once", async (_, pieces) => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const { leave, left } = askWhole(card);
  const task = await node.next("task");
  if (pieces !== null) {
    node.ack(task);
    tell(node, task, { from: 0, to: pieces });
    await node.untilHeard();
  }
  leave();
  expect(await left).toContain("AbortError");
  expect(await node.next("cancel")).toEqual({ type: "cancel", attemptId: task.attemptId });
  if (pieces === null) node.ack(task);
  node.commit(task, { finishReason: "cancelled", completionTokens: pieces ?? 0 });
  expect(await recordOf(task, tellers(node))).toMatchObject({
    state: "cancelled",
    promptTokens: 3,
    completionTokens: pieces ?? 0,
    attempts: [{ nodeId: node.nodeId, state: "rejected", reason: "cancelled", completionTokens: pieces ?? 0 }],
  });
  expect(await endsOf(task, tellers(node))).toHaveLength(1);
});

test("a caller that leaves the queue is not waited for, and its task is recorded as cancelled, for nothing", async () => {
  const card = nextCard();
  const owner = await newKey();
  const node = await pooled(card, 0);
  const caller = new AbortController();
  const body = { model: card.name, messages: [{ role: "user", content: "Tell me a story" }] };
  const left = ask("/v1/chat/completions", { key: owner.key, body, signal: caller.signal }).catch(String);
  await untilWaiting(card, 1);
  caller.abort();
  expect(await left).toContain("AbortError");
  await untilWaiting(card, 0);
  node.pull(card.fileSha256, 1);
  const asked = chat(account.key, card, "Hello");
  const task = await node.next("task");
  expect(task.input).toMatchObject({ messages: [{ content: "Hello" }] });
  node.answer(task, "Hello");
  await contentOf(await asked);
  const records = await until(async () => {
    const entries = (await outboxOf(accountStub(owner.accountId))).filter((entry) => entry.kind === "task");
    return entries.length > 0 ? entries : undefined;
  }, "the record");
  expect(records).toMatchObject([
    { state: "cancelled", errorCode: null, promptTokens: 0, completionTokens: 0, attempts: [] },
  ]);
});

test("a reader that leaves a continued answer stops the node that went on, and is billed for all it has", async () => {
  const card = nextCard();
  const [first, second] = [await pooled(card, 1), await pooled(card, 0)];
  const { task, stream } = await begunStream(account.key, card, { node: first, pieces: 2 });
  first.fail(task, { code: "engine_error", message: "broken" });
  second.pull(card.fileSha256, 1);
  const again = await second.next("task");
  expect(again.continues).toEqual(storyIds(2));
  second.ack(again);
  tell(second, again, { from: 2, to: 5, seq: 0 });
  await stream.untilContent(storyOf(5));
  await stream.leave();
  expect(await second.next("cancel")).toEqual({ type: "cancel", attemptId: again.attemptId });
  expect(first.waiting("cancel")).toBe(0);
  second.commit(again, { finishReason: "cancelled", completionTokens: 3 });
  expect(await recordOf(task, tellers(first, second))).toMatchObject({
    state: "cancelled",
    promptTokens: 3,
    completionTokens: 5,
    attempts: [
      { nodeId: first.nodeId, state: "rejected", completionTokens: 2 },
      { nodeId: second.nodeId, state: "rejected", reason: "cancelled", completionTokens: 3 },
    ],
  });
  expect(await endsOf(task, tellers(first, second))).toHaveLength(1);
});

test("a reader that leaves between two nodes is billed for what it has, and no second one is asked", async () => {
  const card = nextCard();
  const [first, second] = [await pooled(card, 1), await pooled(card, 0)];
  const { task, stream } = await begunStream(account.key, card, { node: first, pieces: 2 });
  first.fail(task, { code: "engine_error", message: "broken" });
  await untilWaiting(card, 1);
  await stream.leave();
  await untilWaiting(card, 0);
  expect(await recordOf(task, tellers(first, second))).toMatchObject({
    state: "cancelled",
    promptTokens: 3,
    completionTokens: 2,
    attempts: [{ nodeId: first.nodeId, completionTokens: 2 }],
  });
  expect(await endsOf(task, tellers(first, second))).toHaveLength(1);
  expect(second.waiting("task")).toBe(0);
});

test.each<[guarantee: string, isTold: boolean]>([
  ["a node that is gone when its task is cancelled leaves a record of what it had sent", false],
  ["a node that goes once its task is cancelled does as well", true],
])("%s", async (_guarantee, isTold) => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const { task, stream } = await begunStream(account.key, card, { node, pieces: 2 });
  if (!isTold) {
    node.drop();
    await node.closed();
  }
  await stream.leave();
  if (isTold) {
    await node.next("cancel");
    node.drop();
  }
  const record = await recordOf(task, tellers(node));
  expect(record).toMatchObject({ state: "cancelled", promptTokens: 3, completionTokens: 2 });
  expect(await endsOf(task, tellers(node))).toHaveLength(1);
});

test("no other node is asked for a task that was cancelled", async () => {
  const card = nextCard();
  const [first, second] = [await pooled(card, 1), await pooled(card, 0)];
  const { task, stream } = await begunStream(account.key, card, { node: first, pieces: 2 });
  await stream.leave();
  await first.next("cancel");
  first.commit(task, { finishReason: "cancelled", completionTokens: 2 });
  await recordOf(task, tellers(first));
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
  const { task, stream } = await begunStream(account.key, card, { node, pieces: 2 });
  await stream.leave();
  await node.next("cancel");
  node.commit(task, { finishReason: "cancelled", completionTokens: 2 });
  const asked = chat(account.key, card, "Hello");
  await untilWaiting(card, 1);
  node.pull(card.fileSha256, 2);
  node.answer(await node.next("task"), "Hello");
  expect((await contentOf(await asked)).content).toBe("Hello");
});

test("a reader that leaves is no error of ours", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const { task, stream } = await begunStream(account.key, card, { node, pieces: 2 });
  const log = vi.spyOn(console, "error").mockReturnValue(undefined);
  await stream.leave();
  await node.next("cancel");
  tell(node, task, { from: 2, to: 6 });
  node.commit(task, { finishReason: "cancelled", completionTokens: 6 });
  expect(await recordOf(task, tellers(node))).toMatchObject({ completionTokens: 6 });
  const faults = log.mock.calls.filter(([message]) => String(message).startsWith("edge:"));
  expect(faults).toEqual([]);
});
