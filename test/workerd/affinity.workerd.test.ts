import { afterEach, beforeAll, expect, test } from "vitest";
import type { ModelCard } from "../../core/model/model-card.ts";
import type { TaskFrame } from "../../core/wire/router-frame.ts";
import { ask, dealer, listedCards, newKey, pooled, poolStub } from "./deployment.ts";
import { closeNodes, type FakeNode } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";
import { until } from "./until.ts";

standInForPostgres();
afterEach(closeNodes);

let nextCard: () => ModelCard;
let key: string;
beforeAll(async () => {
  nextCard = dealer(await listedCards(6));
  key = (await newKey()).key;
});

const user = (content: string) => ({ role: "user", content });
const assistant = { role: "assistant", content: "Hello" };
/** Each API's request that asks for the next turn of a conversation. */
const apis: readonly (readonly [path: string, body: (model: string, turns: object[]) => object])[] = [
  ["/v1/chat/completions", (model, messages) => ({ model, messages })],
  ["/v1/messages", (model, messages) => ({ model, messages, max_tokens: 16 })],
  ["/v1/responses", (model, input) => ({ model, input, store: false })],
];
/** By chance all of them would come to the right node once in a thousand times. */
const conversations = 10;

/** Whichever node has the next task answers it, and is on offer again afterwards. */
async function answeredBy(nodes: readonly FakeNode[], card: ModelCard, asked: Promise<Response>): Promise<FakeNode> {
  const node = await until(() => nodes.find((each) => each.waiting("task") > 0), "a task");
  const task: TaskFrame = await node.next("task");
  node.answer(task, "Hello");
  const response = await asked;
  expect([response.status, await response.text()]).toEqual([200, expect.stringContaining("Hello")]);
  node.pull(card.fileSha256, 4 + node.heard.filter(({ type }) => type === "task").length);
  await node.untilHeard();
  // A node that the pool still believes busy may be passed over for one that is free.
  const freeSlots = async () => (await poolStub(card).standing(node.nodeId)).counts.freeSlots;
  await until(async () => (await freeSlots()) === 4 * nodes.length || undefined, "all room again");
  return node;
}

test.each(apis)("the next turn goes to the node that holds the conversation: POST %s", async (path, bodyOf) => {
  const card = nextCard();
  const nodes = [await pooled(card, 4), await pooled(card, 4)];
  const turn = (turns: object[]) => answeredBy(nodes, card, ask(path, { key, body: bodyOf(card.name, turns) }));
  for (let number = 0; number < conversations; number += 1) {
    const opening = user(`conversation ${number}`);
    const first = await turn([opening]);
    const second = await turn([opening, assistant, user("And then?")]);
    expect(second.nodeId).toBe(first.nodeId);
  }
});
