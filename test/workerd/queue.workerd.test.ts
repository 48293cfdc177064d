import { afterEach, beforeAll, expect, test } from "vitest";
import type { ModelCard } from "../../core/model/model-card.ts";
import type { TaskFrame } from "../../core/wire/router-frame.ts";
import { chat, contentOf, dealer, listedCards, newKey, pooled, refusalOf, untilWaiting } from "./deployment.ts";
import { closeNodes, type FakeNode } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";

standInForPostgres();
afterEach(closeNodes);

let nextCard: () => ModelCard;
let key: string;
beforeAll(async () => {
  nextCard = dealer(await listedCards(8));
  key = (await newKey()).key;
});

const saidIn = (task: TaskFrame) => (task.input.kind === "chat" ? task.input.messages[0]?.content : undefined);

/** Answers one task with what it said. */
async function serveOne(node: FakeNode): Promise<string | undefined> {
  const task = await node.next("task");
  node.answer(task, `you said ${saidIn(task)}`);
  return saidIn(task);
}

test("a node with one credit gets one task; the others wait in order and are served as credits come", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const asked = [chat(key, card, "one")];
  const first = await node.next("task");
  for (const [index, content] of ["two", "three"].entries()) {
    asked.push(chat(key, card, content));
    await untilWaiting(card, index + 1);
  }
  expect(node.waiting("task")).toBe(0);
  node.answer(first, "you said one");
  // Being done is not asking for more: only a pull is.
  expect((await contentOf(await (asked[0] ?? Promise.reject(new Error("no request"))))).content).toBe("you said one");
  await untilWaiting(card, 2);
  expect(node.waiting("task")).toBe(0);
  node.pull(card.fileSha256, 2);
  expect(await serveOne(node)).toBe("two");
  await untilWaiting(card, 1);
  expect(node.waiting("task")).toBe(0);
  node.pull(card.fileSha256, 3);
  expect(await serveOne(node)).toBe("three");
  const contents = await Promise.all(asked.slice(1).map(async (each) => (await contentOf(await each)).content));
  expect(contents).toEqual(["you said two", "you said three"]);
  expect(node.waiting("task")).toBe(0);
});

test("requests at once never push a node past its credits", async () => {
  const card = nextCard();
  const node = await pooled(card, 2);
  const asked = Array.from({ length: 6 }, (_, number) => chat(key, card, `number ${number}`));
  const running = [await node.next("task"), await node.next("task")];
  await untilWaiting(card, 4);
  expect(node.waiting("task")).toBe(0);
  for (let credits = 3; credits <= 6; credits += 1) {
    const done = running.shift();
    if (done === undefined) throw new Error("nothing runs");
    node.answer(done, `you said ${saidIn(done)}`);
    node.pull(card.fileSha256, credits);
    running.push(await node.next("task"));
    await untilWaiting(card, 6 - credits);
    expect(node.waiting("task")).toBe(0);
  }
  for (const task of running) node.answer(task, `you said ${saidIn(task)}`);
  const contents = await Promise.all(asked.map(async (each) => (await contentOf(await each)).content));
  expect(contents).toEqual(Array.from({ length: 6 }, (_, number) => `you said number ${number}`));
});

test("a pull that says less than one before gives no room", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const asked = chat(key, card, "one");
  await serveOne(node);
  await contentOf(await asked);
  node.pull(card.fileSha256, 1);
  node.pull(card.fileSha256, 0);
  const waiting = chat(key, card, "two");
  await untilWaiting(card, 1);
  expect(node.waiting("task")).toBe(0);
  node.pull(card.fileSha256, 2);
  expect(await serveOne(node)).toBe("two");
  await contentOf(await waiting);
});

test("who waits is served by any node that comes", async () => {
  const card = nextCard();
  await pooled(card, 0);
  const asked = chat(key, card, "Hello");
  await untilWaiting(card, 1);
  const late = await pooled(card, 1);
  await serveOne(late);
  expect(await contentOf(await asked)).toEqual({ content: "you said Hello", nodes: [late.nodeId] });
});

test("who waits is told at once when the last node goes", async () => {
  const card = nextCard();
  const node = await pooled(card, 0);
  const asked = chat(key, card, "Hello");
  await untilWaiting(card, 1);
  node.close();
  expect(await refusalOf(await asked)).toMatchObject({ status: 503, code: "no_live_node" });
});

test("two nodes with room share the work", async () => {
  const card = nextCard();
  const nodes = [await pooled(card, 4), await pooled(card, 4)];
  const asked = Array.from({ length: 8 }, () => chat(key, card, "Hello"));
  for (const node of nodes) for (let task = 0; task < 4; task += 1) await serveOne(node);
  for (const each of asked) expect((await contentOf(await each)).content).toBe("you said Hello");
});
