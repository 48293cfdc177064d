import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { ModelCard } from "../../core/model/model-card.ts";
import { ask, chat, dealer, listedCards, newKey, pooled, refusalOf } from "./deployment.ts";
import { closeNodes } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";

standInForPostgres();
afterEach(async () => {
  await closeNodes();
  vi.restoreAllMocks();
});
// Broken frames are logged, and these tests break some.
beforeEach(() => {
  vi.spyOn(console, "warn").mockReturnValue(undefined);
});

/** Little-endian float32 in base64, as the wire has it. */
function float32(values: readonly number[]): string {
  return btoa(String.fromCharCode(...new Uint8Array(new Float32Array(values).buffer)));
}

let nextCard: () => ModelCard;
let chatCard: ModelCard;
let key: string;
beforeAll(async () => {
  nextCard = dealer(await listedCards(10, "embedding"));
  chatCard = dealer(await listedCards(1))();
  key = (await newKey()).key;
});

const embed = (card: ModelCard, fields: object) =>
  ask("/v1/embeddings", { key, body: { model: card.name, ...fields } });

test("texts become vectors in the order of the input, whatever the order of the node", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const asked = embed(card, { input: ["one", "two"] });
  const task = await node.next("task");
  expect(task.input).toEqual({ kind: "embedding", texts: ["one", "two"] });
  node.ack(task, 7);
  node.delta(task, 0, { vectors: [{ index: 1, float32: float32([0.5, -0.25]) }] });
  node.delta(task, 1, { vectors: [{ index: 0, float32: float32([1, 0]) }] });
  node.commit(task, { promptTokens: 7, completionTokens: 0 });
  const response = await asked;
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({
    object: "list",
    model: card.name,
    data: [
      { object: "embedding", index: 0, embedding: [1, 0] },
      { object: "embedding", index: 1, embedding: [0.5, -0.25] },
    ],
    usage: { prompt_tokens: 7, total_tokens: 7 },
    network: { taskId: task.taskId, nodes: [node.nodeId], trust: "sampled", verdict: "unchecked" },
  });
});

test("base64 is the wire's own float32, untouched", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const asked = embed(card, { input: "one", encoding_format: "base64" });
  const task = await node.next("task");
  node.ack(task);
  node.delta(task, 0, { vectors: [{ index: 0, float32: float32([0.1, 0.2]) }] });
  node.commit(task, { completionTokens: 0 });
  expect(await (await asked).json()).toMatchObject({ data: [{ index: 0, embedding: float32([0.1, 0.2]) }] });
});

test("a node that leaves a vector out is replaced, unseen", async () => {
  const card = nextCard();
  const [bad, good] = [await pooled(card, 1), await pooled(card, 0)];
  const asked = embed(card, { input: ["one", "two"] });
  const task = await bad.next("task");
  bad.ack(task);
  bad.delta(task, 0, { vectors: [{ index: 0, float32: float32([9, 9]) }] });
  bad.commit(task, { completionTokens: 0 });
  await bad.next("cancel");
  good.pull(card.fileSha256, 1);
  const again = await good.next("task");
  good.ack(again);
  good.delta(again, 0, { vectors: [0, 1].map((index) => ({ index, float32: float32([index, 1]) })) });
  good.commit(again, { completionTokens: 0 });
  expect(await (await asked).json()).toMatchObject({
    data: [{ embedding: [0, 1] }, { embedding: [1, 1] }],
    network: { nodes: [good.nodeId] },
  });
});

test.each<[guarantee: string, vector: number[] | string]>([
  ["a vector that is too short", [1]],
  ["a vector that is too long", [1, 2, 3]],
  ["an empty vector", []],
  ["a vector of half a number", "AACA"],
])("%s is not passed on: another node answers", async (_guarantee, vector) => {
  const card = nextCard();
  const [bad, good] = [await pooled(card, 1), await pooled(card, 0)];
  const asked = embed(card, { input: "one" });
  const task = await bad.next("task");
  bad.ack(task);
  bad.delta(task, 0, { vectors: [{ index: 0, float32: typeof vector === "string" ? vector : float32(vector) }] });
  await bad.next("cancel");
  good.pull(card.fileSha256, 1);
  const again = await good.next("task");
  good.ack(again);
  good.delta(again, 0, { vectors: [{ index: 0, float32: float32([1, 0]) }] });
  good.commit(again, { completionTokens: 0 });
  expect(await (await asked).json()).toMatchObject({ data: [{ embedding: [1, 0] }] });
});

test("an input that does not fit is a 400 that says which", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const asked = embed(card, { input: ["short", "long"] });
  node.fail(await node.next("task"), {
    code: "context_length_exceeded",
    promptTokens: 3_000,
    contextTokens: 2_048,
    inputIndex: 1,
  });
  expect(await refusalOf(await asked)).toEqual({
    status: 400,
    code: "context_length_exceeded",
    param: "input",
    message: expect.stringMatching(/^Input 1 has 3000 tokens .* 2048/),
  });
});

test("the model's own dimensions may be asked for, others are refused and nothing is run", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const refused = await refusalOf(await embed(card, { input: "one", dimensions: 3 }));
  expect(refused).toMatchObject({ status: 400, code: "invalid_value", param: "dimensions" });
  expect(node.waiting("task")).toBe(0);
  const asked = embed(card, { input: "one", dimensions: 2 });
  const task = await node.next("task");
  node.ack(task);
  node.delta(task, 0, { vectors: [{ index: 0, float32: float32([1, 0]) }] });
  node.commit(task, { completionTokens: 0 });
  expect((await asked).status).toBe(200);
});

test("a chat model makes no embeddings and an embedding model does not chat", async () => {
  const wrong = { status: 400, code: "invalid_value", param: "model" };
  expect(await refusalOf(await embed(chatCard, { input: "one" }))).toMatchObject(wrong);
  expect(await refusalOf(await chat(key, nextCard(), "Hello"))).toMatchObject(wrong);
});
