import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { newAttemptId, nodeIdSchema, randomText } from "../../core/ids.ts";
import { catalogue } from "../../core/model/catalogue.ts";
import { type ModelCard, modelNameSchema } from "../../core/model/model-card.ts";
import { newCard, poolStub } from "../../test/workerd/deployment.ts";
import { statusStub } from "./status-object.ts";

const newNodeId = () => nodeIdSchema.parse(`node_${randomText(32)}`);

/** A pool with one node, and what it answers who wants any other than that one after a second node has offered `card`. */
async function placedOnSecond(first: ModelCard, second: ModelCard) {
  const pool = poolStub(first);
  const [firstId, secondId] = [newNodeId(), newNodeId()];
  await pool.offer({ nodeId: firstId, card: first, free: 1, taken: [] });
  await pool.offer({ nodeId: secondId, card: second, free: 1, taken: [] });
  const claim = await pool.claim({ attemptId: newAttemptId(), exclude: [firstId], waitMs: 0 });
  return claim.kind === "lease" && claim.nodeId === secondId ? "serves" : claim.kind;
}

test.each<[guarantee: string, kind: ModelCard["kind"], change: Partial<ModelCard>, expected: string]>([
  ["a second node of the same file serves", "chat", {}, "serves"],
  ["its other context and slots are its own affair", "chat", { contextTokens: 64, slots: 1 }, "serves"],
  ["one that says the file is of another kind gets no work", "chat", { kind: "embedding", dimensions: 2 }, "refuse"],
  ["one that says its vectors are of another length gets no work", "embedding", { dimensions: 3 }, "refuse"],
])("%s", async (_guarantee, kind, change, expected) => {
  const card = newCard({ kind });
  expect(await placedOnSecond(card, { ...card, ...change })).toBe(expected);
});

async function listedName(card: ModelCard) {
  const models = await statusStub(env).models();
  return models.find((model) => model.card.fileSha256 === card.fileSha256)?.card.name;
}

test("a model reads as much as the node that reads most, while that one is there", async () => {
  const card = newCard();
  const pool = poolStub(card);
  const [small, large] = [newNodeId(), newNodeId()];
  const listedContext = async () =>
    (await statusStub(env).models()).find((model) => model.card.fileSha256 === card.fileSha256)?.card.contextTokens;
  await pool.offer({ nodeId: large, card: { ...card, contextTokens: 8_000 }, free: 1, taken: [] });
  await pool.offer({ nodeId: small, card: { ...card, contextTokens: 500 }, free: 1, taken: [] });
  expect(await listedContext()).toBe(8_000);
  await pool.leave(large);
  expect(await listedContext()).toBe(500);
});

test("a node that joins cannot rename the model of those that are there", async () => {
  const card = newCard();
  await placedOnSecond(card, { ...card, name: modelNameSchema.parse("mine-now") });
  expect(await listedName(card)).toBe(card.name);
});

test("a file of the catalogue goes by the catalogue's name and kind, whoever brings it first", async () => {
  const [known] = catalogue;
  if (known === undefined) throw new Error("the catalogue is empty");
  const { name, kind, fileSha256 } = known;
  const card = { ...newCard({ kind }), fileSha256 };
  const pool = poolStub(card);
  await pool.offer({ nodeId: newNodeId(), card, free: 1, taken: [] });
  expect(await listedName(card)).toBe(name);
  const liar = newNodeId();
  await pool.offer({ nodeId: liar, card: { ...newCard({ kind: "embedding" }), fileSha256 }, free: 9, taken: [] });
  const claims = await Promise.all([1, 2].map(() => pool.claim({ attemptId: newAttemptId(), exclude: [], waitMs: 0 })));
  expect(claims.filter((claim) => claim.kind === "lease" && claim.nodeId === liar)).toEqual([]);
});
