import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { ModelCard } from "../../core/model/model-card.ts";
import { wholeStream } from "./chat-stream.ts";
import {
  accountStub,
  chat,
  contentOf,
  dealer,
  listedCards,
  newKey,
  outboxOf,
  pooled,
  refusalOf,
  untilWaiting,
} from "./deployment.ts";
import { closeNodes, FakeNode, newIdentity } from "./fake-node.ts";
import { endsOf, recordOf } from "./record.ts";
import { begunStream, begunWhole, storyIds, storyOf, tell } from "./story.ts";
import { until } from "./until.ts";

// Every deadline of the router, short enough to be waited for and long enough for a slow machine to keep.
vi.mock("../../core/limits.ts", async (original) => {
  const { limits } = await original<typeof import("../../core/limits.ts")>();
  const placing = { ackMs: 2_000, silenceMs: 2_000, queueWaitMs: 2_000, helloMs: 2_000 };
  return { limits: { ...limits, ...placing, failoverWaitMs: 2_000, attachedGraceMs: 500 } };
});
// Down, so that records can be read where they wait.
vi.mock("../../db/record.ts", () => ({ record: () => Promise.reject(new Error("Postgres is down")) }));
vi.spyOn(console, "error").mockReturnValue(undefined);
vi.spyOn(console, "warn").mockReturnValue(undefined);
afterAll(closeNodes);

let nextCard: () => ModelCard;
let account: Awaited<ReturnType<typeof newKey>>;

/** A node with nothing to do yet goes on after two pieces, with one of its own that ends the answer. */
async function goOn(card: ModelCard, node: FakeNode): Promise<void> {
  node.pull(card.fileSha256, 1);
  const again = await node.next("task");
  expect(again.continues).toEqual(storyIds(2));
  node.ack(again);
  tell(node, again, { from: 2, to: 3, seq: 0 });
  node.commit(again);
}

beforeAll(async () => {
  nextCard = dealer(await listedCards(24));
  account = await newKey();
});

test.concurrent("a node that never acks is told to stop, and the next one answers", async () => {
  const card = nextCard();
  const [mute, good] = [await pooled(card, 1), await pooled(card, 0)];
  const asked = chat(account.key, card, "Hello");
  const task = await mute.next("task");
  expect(await mute.next("cancel")).toEqual({ type: "cancel", attemptId: task.attemptId });
  good.pull(card.fileSha256, 1);
  const again = await good.next("task");
  // What comes too late means nothing.
  mute.answer(task, "too late");
  good.answer(again, "in time");
  expect(await contentOf(await asked)).toEqual({ content: "in time", nodes: [good.nodeId] });
});

test.concurrent("a node that falls silent after its ack is told to stop, and the next one goes on", async () => {
  const card = nextCard();
  const [silent, good] = [await pooled(card, 1), await pooled(card, 0)];
  const { task, asked } = await begunWhole(account.key, card, { node: silent, pieces: 2 });
  expect(await silent.next("cancel")).toEqual({ type: "cancel", attemptId: task.attemptId });
  await goOn(card, good);
  expect(await contentOf(await asked)).toEqual({ content: storyOf(3), nodes: [silent.nodeId, good.nodeId] });
});

test.concurrent("a node that is back after the grace finds that another has its answer", async () => {
  const card = nextCard();
  const [late, good] = [await pooled(card, 1), await pooled(card, 0)];
  const { task, stream } = await begunStream(account.key, card, { node: late, pieces: 2 });
  late.drop();
  await late.closed();
  await goOn(card, good);
  const { node, welcome } = await late.comeBack([late.holds(task, 3)]);
  expect(welcome.leases).toEqual([]);
  node.ack(task);
  tell(node, task, { from: 2, to: 4 });
  node.commit(task, { completionTokens: 4 });
  expect(await stream.end()).toEqual(wholeStream(storyOf(3), 3, [late, good]));
});

test.concurrent("a stream that nobody can go on with ends with an error, and never with [DONE]", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const { task, stream } = await begunStream(account.key, card, { node, pieces: 2 });
  node.drop();
  expect(await stream.end()).toMatchObject({
    content: storyOf(2),
    errorCode: "stream_broken",
    finishReason: null,
    isDone: false,
  });
  const tellers = { nodes: [node], accountId: account.accountId };
  expect(await recordOf(task, tellers)).toMatchObject({
    state: "failed",
    errorCode: "stream_broken",
    promptTokens: 0,
    completionTokens: 0,
    attempts: [{ nodeId: node.nodeId, state: "lost", promptTokens: 3, completionTokens: 2 }],
  });
  expect(await endsOf(task, tellers)).toHaveLength(1);
});

test.concurrent("a whole answer that nobody can go on with is refused", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const { task, asked } = await begunWhole(account.key, card, { node, pieces: 2 });
  node.drop();
  expect(await refusalOf(await asked)).toMatchObject({ status: 502, code: "stream_broken" });
  expect(await recordOf(task, { nodes: [node], accountId: account.accountId })).toMatchObject({
    state: "failed",
    errorCode: "stream_broken",
  });
});

test.concurrent("the only node that failed is not asked again: nobody is left", async () => {
  const card = nextCard();
  const node = await pooled(card, 5);
  const asked = chat(account.key, card, "Hello");
  node.fail(await node.next("task"), { code: "no_slot" });
  expect(await refusalOf(await asked)).toMatchObject({ status: 503, code: "no_live_node" });
  expect(node.waiting("task")).toBe(0);
});

test.concurrent("a request that finds no room in time is a 503, and its task is recorded as expired", async () => {
  const card = nextCard();
  const node = await pooled(card, 0);
  const owner = await newKey();
  const response = await chat(owner.key, card, "Hello");
  expect(response.headers.get("retry-after")).toBe("5");
  expect(await refusalOf(response)).toMatchObject({ status: 503, code: "no_free_node" });
  expect(node.waiting("task")).toBe(0);
  const record = await until(async () => {
    const entries = await outboxOf(accountStub(owner.accountId));
    return entries.find((entry) => entry.kind === "task");
  }, "the record");
  expect(record).toMatchObject({
    state: "expired",
    errorCode: "no_free_node",
    promptTokens: 0,
    completionTokens: 0,
    keyId: owner.id,
    attempts: [],
  });
});

test.concurrent("who waits and is told no is no longer in the queue", async () => {
  const card = nextCard();
  const node = await pooled(card, 0);
  expect(await refusalOf(await chat(account.key, card, "first"))).toMatchObject({ code: "no_free_node" });
  const asked = chat(account.key, card, "second");
  await untilWaiting(card, 1);
  node.pull(card.fileSha256, 2);
  const task = await node.next("task");
  expect(task.input).toMatchObject({ messages: [{ content: "second" }] });
  node.answer(task, "Hello");
  await contentOf(await asked);
  expect(node.waiting("task")).toBe(0);
});

test.concurrent("a socket that never says hello is closed", async () => {
  const node = await FakeNode.dial(await newIdentity());
  expect(await node.closed()).toEqual({ code: 4004, reason: "no hello in time" });
});

test.concurrent("a node that did say hello is not", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const mute = await FakeNode.dial(await newIdentity());
  await mute.closed();
  const asked = chat(account.key, card, "Hello");
  node.answer(await node.next("task"), "Hello");
  expect((await contentOf(await asked)).content).toBe("Hello");
});
