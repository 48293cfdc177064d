import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { ModelCard } from "../../core/model/model-card.ts";
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
import { until } from "./until.ts";

// Every deadline of the router, short enough to be waited for and long enough for a slow machine to keep.
vi.mock("../../core/limits.ts", async (original) => {
  const { limits } = await original<typeof import("../../core/limits.ts")>();
  return { limits: { ...limits, ackMs: 2_000, silenceMs: 2_000, queueWaitMs: 2_000, helloMs: 2_000 } };
});
// Down, so that records can be read where they wait.
vi.mock("../../db/record.ts", () => ({ record: () => Promise.reject(new Error("Postgres is down")) }));
vi.spyOn(console, "error").mockReturnValue(undefined);
afterAll(closeNodes);

let nextCard: () => ModelCard;
let account: Awaited<ReturnType<typeof newKey>>;
beforeAll(async () => {
  nextCard = dealer(await listedCards(8));
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

test.concurrent("a node that falls silent after its ack is told to stop, and the next one answers", async () => {
  const card = nextCard();
  const [silent, good] = [await pooled(card, 1), await pooled(card, 0)];
  const asked = chat(account.key, card, "Hello");
  const task = await silent.next("task");
  silent.ack(task);
  silent.delta(task, 0, { text: "half of ", tokenIds: [1] });
  expect(await silent.next("cancel")).toEqual({ type: "cancel", attemptId: task.attemptId });
  good.pull(card.fileSha256, 1);
  good.answer(await good.next("task"), "all of it");
  expect(await contentOf(await asked)).toEqual({ content: "all of it", nodes: [good.nodeId] });
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
