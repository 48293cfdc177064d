import { runInDurableObject } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import { newAttemptId } from "../../core/ids.ts";
import type { ModelCard } from "../../core/model/model-card.ts";
import { newCard, pooled, poolStub } from "../../test/workerd/deployment.ts";
import { closeNodes } from "../../test/workerd/fake-node.ts";
import { standInForPostgres } from "../../test/workerd/fake-postgres.ts";
import { until } from "../../test/workerd/until.ts";
import { NodeObject } from "./node-object.ts";

standInForPostgres();
afterEach(async () => {
  await closeNodes();
  vi.restoreAllMocks();
});

/** Ends a pool's object as a deployment does: its memory is gone, its storage stays. */
async function reset(card: ModelCard): Promise<void> {
  await runInDurableObject(poolStub(card), (_pool, state) => state.abort("reset by a test")).catch(() => {});
}

const claim = (card: ModelCard) => poolStub(card).claim({ attemptId: newAttemptId(), exclude: [], waitMs: 0 });

test("a pool that was reset gives out places at once, by what it has in storage", async () => {
  const card = newCard();
  const node = await pooled(card, 2);
  await reset(card);
  expect(await claim(card)).toEqual({ kind: "lease", nodeId: node.nodeId });
});

test("a pool that was reset hears from its nodes by itself what room they have", async () => {
  const card = newCard({ slots: 4 });
  const node = await pooled(card, 1);
  await pooled(card, 0);
  const asked = vi.spyOn(NodeObject.prototype, "offerNow");
  await reset(card);
  const counts = async () => (await poolStub(card).standing(node.nodeId)).counts;
  expect((await counts()).members).toBe(2);
  // Eight, as a guess, until both have said that it is one in all.
  await until(async () => (await counts()).freeSlots === 1 || undefined, "the nodes' own word");
  expect(asked).toHaveBeenCalledTimes(2);
  expect((await claim(card)).kind).toBe("lease");
  expect((await claim(card)).kind).toBe("refuse");
});

test("a pool that was reset hears of a node that is gone, and keeps it no longer", async () => {
  const card = newCard();
  const node = await pooled(card, 1);
  // A socket that ends without notice: the node keeps its place for a while, should it come back.
  node.sendRaw("no frame");
  await node.closed();
  const asked = vi.spyOn(NodeObject.prototype, "offerNow");
  await reset(card);
  const members = async () => (await poolStub(card).standing(node.nodeId)).counts.members;
  await until(async () => (await members()) === 0 || undefined, "nobody in the pool");
  expect(asked).toHaveBeenCalledOnce();
  expect(await claim(card)).toEqual({ kind: "refuse", code: "no_live_node" });
});
