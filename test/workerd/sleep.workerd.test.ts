import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { ModelCard } from "../../core/model/model-card.ts";
import {
  chat,
  contentOf,
  dealer,
  listedCards,
  newKey,
  nodeStub,
  pooled,
  poolStub,
  refusalOf,
  untilMember,
  untilNoMember,
  untilWaiting,
  welcomed,
} from "./deployment.ts";
import { closeNodes, FakeNode } from "./fake-node.ts";

// The driver's time limit of each request to Postgres would keep its object awake for as long.
vi.mock("../../db/record.ts", () => ({ record: () => Promise.resolve() }));
afterAll(closeNodes);

let nextCard: () => ModelCard;
let key: string;
beforeAll(async () => {
  nextCard = dealer(await listedCards(12));
  key = (await newKey()).key;
});

async function serve(node: FakeNode, card: ModelCard): Promise<void> {
  const asked = chat(key, card, "Hello");
  node.answer(await node.next("task"), "Hello");
  expect(await contentOf(await asked)).toEqual({ content: "Hello", nodes: [node.nodeId] });
}

test.concurrent("a node whose object slept while its socket stayed is sent no more than its credits", async () => {
  const card = nextCard();
  const node = await pooled(card, 3);
  await serve(node, card);
  await evictDurableObject(nodeStub(node));
  await serve(node, card);
  await evictDurableObject(nodeStub(node));
  await serve(node, card);
  // All three are spent, over two sleeps: the next waits until the node pulls.
  const asked = chat(key, card, "Hello");
  await untilWaiting(card, 1);
  expect(node.waiting("task")).toBe(0);
  await evictDurableObject(nodeStub(node));
  node.pull(card.fileSha256, 4);
  node.answer(await node.next("task"), "Hello");
  expect((await contentOf(await asked)).content).toBe("Hello");
});

test.concurrent("credits of each model of a node are its own after a sleep", async () => {
  const [one, two] = [nextCard(), nextCard()];
  const node = await welcomed([one, two]);
  node.pull(one.fileSha256, 1);
  node.pull(two.fileSha256, 2);
  await untilMember(one, node);
  await untilMember(two, node);
  await serve(node, one);
  await evictDurableObject(nodeStub(node));
  await serve(node, two);
  await serve(node, two);
  const asked = [chat(key, one, "Hello"), chat(key, two, "Hello")];
  await untilWaiting(one, 1);
  await untilWaiting(two, 1);
  expect(node.waiting("task")).toBe(0);
  node.pull(two.fileSha256, 3);
  node.pull(one.fileSha256, 2);
  for (let task = 0; task < 2; task += 1) node.answer(await node.next("task"), "Hello");
  for (const each of asked) expect((await contentOf(await each)).content).toBe("Hello");
});

test.concurrent("a node that drains still drains after a sleep", async () => {
  const card = nextCard();
  const [draining, other] = [await pooled(card, 2), await pooled(card, 0)];
  draining.send({ type: "status", state: "draining", running: 0 });
  await untilNoMember(card, draining);
  await evictDurableObject(nodeStub(draining));
  await runInDurableObject(nodeStub(draining), (node) => node.alarm());
  const asked = chat(key, card, "Hello");
  await untilWaiting(card, 1);
  expect(draining.waiting("task")).toBe(0);
  other.pull(card.fileSha256, 1);
  other.answer(await other.next("task"), "Hello");
  await contentOf(await asked);
});

test.concurrent("a node that comes back begins without credits", async () => {
  const card = nextCard();
  const first = await pooled(card, 5);
  await serve(first, card);
  first.close();
  await untilNoMember(card, first);
  const again = await FakeNode.dial(first.identity);
  again.send(await again.hello({ models: [card] }));
  await again.next("welcome");
  again.pull(card.fileSha256, 0);
  await untilMember(card, again);
  const asked = chat(key, card, "Hello");
  await untilWaiting(card, 1);
  expect(again.waiting("task")).toBe(0);
  again.pull(card.fileSha256, 1);
  again.answer(await again.next("task"), "Hello");
  expect((await contentOf(await asked)).content).toBe("Hello");
});

test.concurrent("a pool that was reset keeps its members and serves", async () => {
  const card = nextCard();
  const node = await pooled(card, 2);
  await serve(node, card);
  await evictDurableObject(poolStub(card));
  await serve(node, card);
});

test.concurrent("a pool that was reset and thinks too well of a node is put right by the node's object", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  await serve(node, card);
  await evictDurableObject(poolStub(card));
  // All of the node's slots count as free now, and none is.
  const asked = chat(key, card, "Hello");
  await untilWaiting(card, 1);
  expect(node.waiting("task")).toBe(0);
  node.pull(card.fileSha256, 2);
  node.answer(await node.next("task"), "Hello");
  expect((await contentOf(await asked)).content).toBe("Hello");
});

test.concurrent("a request that waits in a pool that breaks down asks again, and is served", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  await serve(node, card);
  const asked = chat(key, card, "Hello");
  await untilWaiting(card, 1);
  // An abort, unlike an eviction, does not wait for who is in the midst of asking.
  await expect(runInDurableObject(poolStub(card), (_pool, state) => state.abort("broken by a test"))).rejects.toThrow(
    "broken by a test",
  );
  node.pull(card.fileSha256, 2);
  node.answer(await node.next("task"), "Hello");
  expect((await contentOf(await asked)).content).toBe("Hello");
});

test.concurrent("a pool that was reset forgets a node that left before", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  node.close();
  await untilNoMember(card, node);
  await evictDurableObject(poolStub(card));
  expect(await refusalOf(await chat(key, card, "Hello"))).toMatchObject({ code: "no_live_node" });
});
