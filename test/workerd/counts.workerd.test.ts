import { afterEach, beforeAll, expect, test, vi } from "vitest";
import type { ModelCard } from "../../core/model/model-card.ts";
import { AccountObject } from "../../edge/objects/account-object.ts";
import { NodeObject } from "../../edge/objects/node-object.ts";
import { Outbox } from "../../edge/objects/outbox.ts";
import { PoolObject } from "../../edge/objects/pool-object.ts";
import { StatusObject } from "../../edge/objects/status-object.ts";
import { chat, contentOf, listedCards, newKey, pooled } from "./deployment.ts";
import { closeNodes, type FakeNode } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";

standInForPostgres();
afterEach(async () => {
  await closeNodes();
  vi.restoreAllMocks();
});

let card: ModelCard;
let key: string;
beforeAll(async () => {
  const [first] = await listedCards(1);
  if (first === undefined) throw new Error("no model");
  card = first;
  key = (await newKey()).key;
});

/** Every method by which one object is asked by another or by the Worker, each watched from now on. */
function watched() {
  return {
    "account.checkKey": vi.spyOn(AccountObject.prototype, "checkKey"),
    "account.recordTask": vi.spyOn(AccountObject.prototype, "recordTask"),
    "pool.claim": vi.spyOn(PoolObject.prototype, "claim"),
    "pool.withdraw": vi.spyOn(PoolObject.prototype, "withdraw"),
    "pool.offer": vi.spyOn(PoolObject.prototype, "offer"),
    "pool.leave": vi.spyOn(PoolObject.prototype, "leave"),
    "node.run": vi.spyOn(NodeObject.prototype, "run"),
    "status.models": vi.spyOn(StatusObject.prototype, "models"),
    "outbox.add": vi.spyOn(Outbox.prototype, "add"),
  };
}

async function serve(node: FakeNode): Promise<void> {
  const asked = chat(key, card, "Hello");
  node.answer(await node.next("task"), "Hello");
  expect((await contentOf(await asked)).content).toBe("Hello");
}

test("a second chat request asks its pool once and its node once, writes one row, and asks nobody else", async () => {
  const node = await pooled(card, 2);
  await serve(node);
  const spies = watched();
  await serve(node);
  const calls = Object.fromEntries(Object.entries(spies).map(([name, spy]) => [name, spy.mock.calls.length]));
  expect(calls).toEqual({
    "account.checkKey": 0,
    "account.recordTask": 0,
    "pool.claim": 1,
    "pool.withdraw": 0,
    "pool.offer": expect.any(Number),
    "pool.leave": 0,
    "node.run": 1,
    "status.models": expect.any(Number),
    "outbox.add": 1,
  });
  // Off the path: the node's word to its pool (its alarm may add one), and the names of models, read again every ten
  // seconds.
  expect(calls["pool.offer"]).toBeLessThanOrEqual(2);
  expect(calls["status.models"]).toBeLessThanOrEqual(1);
  const entries = spies["outbox.add"].mock.calls.flatMap(([added]) => added);
  expect(entries).toMatchObject([{ kind: "task", state: "completed" }]);
});

test("the first request of a key asks its account once", async () => {
  const node = await pooled(card, 2);
  key = (await newKey()).key;
  const spies = watched();
  await serve(node);
  await serve(node);
  expect(spies["account.checkKey"]).toHaveBeenCalledOnce();
});
