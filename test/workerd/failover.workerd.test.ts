import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { ModelCard } from "../../core/model/model-card.ts";
import type { TaskFrame } from "../../core/wire/router-frame.ts";
import { chat, contentOf, dealer, listedCards, newKey, pooled, refusalOf } from "./deployment.ts";
import { closeNodes, type FakeNode } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";

standInForPostgres();
afterEach(async () => {
  await closeNodes();
  vi.restoreAllMocks();
});
// Broken frames are logged, and these tests break many.
beforeEach(() => {
  vi.spyOn(console, "warn").mockReturnValue(undefined);
});

let nextCard: () => ModelCard;
let key: string;
beforeAll(async () => {
  nextCard = dealer(await listedCards(48));
  key = (await newKey()).key;
});

/** Two nodes of one model, of which only the first has room until the second pulls. */
async function pair(): Promise<{ card: ModelCard; first: FakeNode; second: FakeNode }> {
  const card = nextCard();
  return { card, first: await pooled(card, 1), second: await pooled(card, 0) };
}

type Misdeed = (node: FakeNode, task: TaskFrame) => void;

const misdeeds: [what: string, misdeed: Misdeed, isTold: boolean][] = [
  ["is draining", (node, task) => node.fail(task, { code: "draining" }), false],
  ["has no slot", (node, task) => node.fail(task, { code: "no_slot" }), false],
  ["lacks the model", (node, task) => node.fail(task, { code: "unknown_model" }), false],
  ["has an engine that fails", (node, task) => node.fail(task, { code: "engine_error", message: "broken" }), false],
  [
    "fails after its ack",
    (node, task) => {
      node.ack(task);
      node.fail(task, { code: "engine_error", message: "broken" });
    },
    false,
  ],
  ["closes its socket before the ack", (node) => node.close(), false],
  ["loses its socket before the ack", (node) => node.drop(), false],
  [
    "loses its socket after the ack",
    (node, task) => {
      node.ack(task);
      node.drop();
    },
    false,
  ],
  [
    "closes its socket after the ack",
    (node, task) => {
      node.ack(task);
      node.close();
    },
    false,
  ],
  [
    "says that it drained while it works",
    (node, task) => {
      node.ack(task);
      node.send({ type: "drained" });
    },
    false,
  ],
  ["sends a delta before the ack", (node, task) => node.delta(task, 0, { text: "wrong", tokenIds: [1] }), true],
  ["commits without an ack", (node, task) => node.commit(task, { promptTokens: 0, completionTokens: 0 }), true],
  [
    "begins with the second piece",
    (node, task) => {
      node.ack(task);
      node.delta(task, 1, { text: "wrong", tokenIds: [1] });
    },
    true,
  ],
  [
    "commits more tokens than it sent",
    (node, task) => {
      node.ack(task);
      node.commit(task, { completionTokens: 1 });
    },
    true,
  ],
  [
    "commits another prompt than it acked",
    (node, task) => {
      node.ack(task, 3);
      node.commit(task, { promptTokens: 4, completionTokens: 0 });
    },
    true,
  ],
  [
    "gives up what nobody cancelled",
    (node, task) => {
      node.ack(task);
      node.commit(task, { finishReason: "cancelled", completionTokens: 0 });
    },
    true,
  ],
  [
    "breaks the protocol of its socket",
    (node, task) => {
      node.ack(task);
      node.sendRaw("not a frame");
    },
    false,
  ],
];

test.each(misdeeds)("a node that %s is replaced, and the caller sees nothing of it", async (_what, misdeed, isTold) => {
  const { card, first, second } = await pair();
  const asked = chat(key, card, "Hello");
  misdeed(first, await first.next("task"));
  second.pull(card.fileSha256, 1);
  second.answer(await second.next("task"), "right");
  expect(await contentOf(await asked)).toEqual({ content: "right", nodes: [second.nodeId] });
  // A node that broke the protocol is told to stop; one that said no has stopped.
  if (isTold) await first.next("cancel");
  else expect(first.waiting("cancel")).toBe(0);
});

test.each(misdeeds)("a node that %s is replaced in a stream, as long as no text was sent", async (_what, misdeed) => {
  const { card, first, second } = await pair();
  const asked = chat(key, card, "Hello", { stream: true });
  misdeed(first, await first.next("task"));
  second.pull(card.fileSha256, 1);
  second.answer(await second.next("task"), "right");
  const text = await (await asked).text();
  expect(text).toContain('"content":"right"');
  expect(text).not.toContain("wrong");
  expect(text).not.toContain('"error"');
  expect(text.match(/"role":"assistant"/g)).toHaveLength(1);
  expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
});

test("the second node gets the very same request under an attempt of its own", async () => {
  const { card, first, second } = await pair();
  const asked = chat(key, card, "Hello", { temperature: 0.5 });
  const task = await first.next("task");
  first.fail(task, { code: "no_slot" });
  second.pull(card.fileSha256, 1);
  const again = await second.next("task");
  expect(again).toEqual({ ...task, attemptId: again.attemptId });
  expect(again.attemptId).not.toBe(task.attemptId);
  second.answer(again, "right");
  await contentOf(await asked);
});

test.each<[what: string, again: Misdeed]>([
  ["acks again", (node, task) => node.ack(task)],
  ["acks again with another count", (node, task) => node.ack(task, 4)],
  ["sends a piece again", (node, task) => node.delta(task, 0, { text: "wrong", tokenIds: [9, 9] })],
])("a node that %s is not replaced, and what came first counts", async (_what, again) => {
  const { card, first, second } = await pair();
  const asked = chat(key, card, "Hello");
  const task = await first.next("task");
  first.ack(task);
  first.delta(task, 0, { text: "ri", tokenIds: [1] });
  again(first, task);
  first.delta(task, 1, { text: "ght", tokenIds: [2] });
  first.commit(task, { completionTokens: 2 });
  expect(await contentOf(await asked)).toEqual({ content: "right", nodes: [first.nodeId] });
  expect(first.waiting("cancel")).toBe(0);
  expect(second.waiting("task")).toBe(0);
});

test("frames of a dead lease change nothing, and the node goes on with other work", async () => {
  const { card, first, second } = await pair();
  const asked = chat(key, card, "Hello");
  const dead = await first.next("task");
  first.fail(dead, { code: "no_slot" });
  second.pull(card.fileSha256, 1);
  const task = await second.next("task");
  first.ack(dead);
  first.delta(dead, 0, { text: "too late", tokenIds: [1] });
  first.commit(dead);
  first.fail(dead, { code: "draining" });
  second.answer(task, "right");
  expect((await contentOf(await asked)).content).toBe("right");
  first.pull(card.fileSha256, 2);
  const later = chat(key, card, "Hello again");
  first.answer(await first.next("task"), "first again");
  expect(await contentOf(await later)).toEqual({ content: "first again", nodes: [first.nodeId] });
});

test("a node cannot speak for another node's attempt", async () => {
  const { card, first, second } = await pair();
  const asked = chat(key, card, "Hello");
  const task = await first.next("task");
  second.ack(task);
  second.delta(task, 0, { text: "stolen", tokenIds: [1] });
  second.commit(task);
  second.fail(task, { code: "engine_error", message: "sabotage" });
  // The thief's frames have been read once its next word has.
  second.sendRaw(' {"type":"heartbeat"}');
  await second.next("heartbeat");
  first.answer(task, "right");
  expect(await contentOf(await asked)).toEqual({ content: "right", nodes: [first.nodeId] });
});

test("four nodes that fail are enough: the caller is told", async () => {
  const card = nextCard();
  const nodes = [await pooled(card, 1)];
  for (let number = 1; number < 5; number += 1) nodes.push(await pooled(card, 0));
  const asked = chat(key, card, "Hello");
  for (const node of nodes.slice(0, 4)) {
    node.pull(card.fileSha256, 1);
    node.fail(await node.next("task"), { code: "engine_error", message: "broken" });
  }
  const response = await asked;
  expect(response.headers.get("retry-after")).toBe("5");
  expect(await refusalOf(response)).toMatchObject({ status: 503, code: "attempts_exhausted" });
  expect(nodes[4]?.waiting("task")).toBe(0);
});
