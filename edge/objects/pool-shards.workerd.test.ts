import { env, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, test } from "vitest";
import { type AttemptId, type NodeId, newAttemptId, nodeIdSchema, randomText } from "../../core/ids.ts";
import type { ModelCard } from "../../core/model/model-card.ts";
import { poolName } from "../../core/node-pool/pool-name.ts";
import { shardOf } from "../../core/node-pool/shards.ts";
import { newCard, untilMember, welcomed } from "../../test/workerd/deployment.ts";
import { closeNodes, newIdentity } from "../../test/workerd/fake-node.ts";
import { standInForPostgres } from "../../test/workerd/fake-postgres.ts";
import { until } from "../../test/workerd/until.ts";
import type { ClaimRequest, ClaimResult } from "./pool-calls.ts";
import { statusStub } from "./status-object.ts";

standInForPostgres();
afterEach(closeNodes);

/** A node's id that belongs to this one of so many shards. */
function nodeOf(shard: number, shards: number): NodeId {
  for (;;) {
    const nodeId = nodeIdSchema.parse(`node_${randomText(32)}`);
    if (shardOf(nodeId, shards) === shard) return nodeId;
  }
}

const shardStub = (card: ModelCard, shard: number) =>
  env.POOL.get(env.POOL.idFromName(poolName(card.fileSha256, shard)));

/** A model of so many shards, the first of which knows of it. */
async function sharded(shards: number) {
  const card = newCard();
  // As if a shard that is none of them had told of so many nodes.
  const told = { liveNodes: shards * 600, slots: 0, freeSlots: 0, waiting: 0, atMs: Date.now() };
  await statusStub(env).reportPool({ card, shard: 200, ...told });
  const pools = Array.from({ length: shards }, (_, shard) => shardStub(card, shard));
  const pool = (shard: number) => pools[shard] ?? Promise.reject(new Error("no such shard"));
  const offer = async (shard: number, free: number, nodeId = nodeOf(shard, shards)) => {
    await (await pool(shard)).offer({ nodeId, card, free, taken: [] });
    return nodeId;
  };
  const claim = async (shard: number, wish: Partial<ClaimRequest> = {}) =>
    (await pool(shard)).claim({ attemptId: newAttemptId(), exclude: [], waitMs: 10_000, ...wish });
  const freeSlots = async (shard: number) =>
    (await (await pool(shard)).standing(nodeOf(shard, shards))).counts.freeSlots;
  return { card, pool, offer, claim, freeSlots };
}

describe("a claim in one shard", () => {
  test("is served by a node of another where its own are busy", async () => {
    const { offer, claim } = await sharded(2);
    await offer(0, 0);
    const idle = await offer(1, 1);
    expect(await claim(0)).toEqual({ kind: "lease", nodeId: idle });
  });

  test("is served by a node of its own while that has room", async () => {
    const { offer, claim } = await sharded(2);
    const own = await offer(0, 3);
    await offer(1, 3);
    for (let number = 0; number < 3; number += 1) expect(await claim(0)).toEqual({ kind: "lease", nodeId: own });
  });

  test("is served by a node of another where its own shard has none at all", async () => {
    const { offer, claim } = await sharded(4);
    const idle = await offer(2, 1);
    expect(await claim(3)).toEqual({ kind: "lease", nodeId: idle });
  });

  test("is told that no node lives only when no shard has one", async () => {
    const { offer, claim } = await sharded(4);
    const only = await offer(2, 1);
    expect(await claim(0, { exclude: [only] })).toEqual({ kind: "refuse", code: "no_live_node" });
  });

  test("waits where the live nodes of the others are busy, and is served when one has room", async () => {
    const { offer, claim, pool } = await sharded(2);
    await (await pool(0)).leave(await offer(0, 0));
    const busy = await offer(1, 0);
    const waiting = claim(0);
    await offer(1, 1, busy);
    expect(await waiting).toEqual({ kind: "lease", nodeId: busy });
  });

  test("of a task under way waits also where no shard has a node", async () => {
    const { offer, claim, pool } = await sharded(2);
    const first = await offer(0, 0);
    const waiting = claim(0, { isPatient: true });
    await (await pool(0)).leave(first);
    // Others are told at once, so this one has been asked for all around by then.
    expect(await claim(0)).toEqual({ kind: "refuse", code: "no_live_node" });
    const late = await offer(1, 1);
    expect(await waiting).toEqual({ kind: "lease", nodeId: late });
  });

  test("never has a node that it excludes, wherever that is", async () => {
    const { offer, claim } = await sharded(2);
    await offer(0, 0);
    const [bad, good] = [await offer(1, 4), await offer(1, 1)];
    expect(await claim(0, { exclude: [bad] })).toEqual({ kind: "lease", nodeId: good });
  });

  test("takes no node put aside from another shard while its own are merely busy", async () => {
    const { card, offer, claim, pool } = await sharded(2);
    const own = await offer(0, 0);
    const aside = { nodeId: nodeOf(1, 2), card, free: 4, taken: [], asideUntilMs: Date.now() + 60_000 };
    await (await pool(1)).offer(aside);
    const waiting = claim(0);
    await offer(0, 1, own);
    expect(await waiting).toEqual({ kind: "lease", nodeId: own });
  });
});

describe("a lease that another shard gave", () => {
  test("counts against its node's credits there", async () => {
    const { offer, claim, freeSlots } = await sharded(2);
    await offer(0, 0);
    await offer(1, 2);
    await claim(0);
    expect(await freeSlots(1)).toBe(1);
  });

  test("is given back there when it is withdrawn here", async () => {
    const { offer, claim, pool, freeSlots } = await sharded(2);
    await offer(0, 0);
    await offer(1, 2);
    const attemptId = newAttemptId();
    await claim(0, { attemptId });
    await (await pool(0)).withdraw(attemptId);
    await until(async () => (await freeSlots(1)) === 2 || undefined, "the room that was given back");
  });

  test("is never given past its node's credits, however many shards ask", async () => {
    const { offer, claim, pool, freeSlots } = await sharded(4);
    for (const shard of [0, 1, 2]) await offer(shard, 0);
    const only = await offer(3, 5);
    const waiting = new Map<AttemptId, number>();
    const results: ClaimResult[] = [];
    const asked = Array.from({ length: 12 }, async (_, index) => {
      const attemptId = newAttemptId();
      waiting.set(attemptId, index % 4);
      results.push(await claim(index % 4, { attemptId }));
      waiting.delete(attemptId);
    });
    await until(() => results.length === 5 || undefined, "as many places as there are");
    expect(await freeSlots(3)).toBe(0);
    for (const [attemptId, shard] of waiting) await (await pool(shard)).withdraw(attemptId);
    await Promise.all(asked);
    expect(results.slice(0, 5)).toEqual(new Array(5).fill({ kind: "lease", nodeId: only }));
    expect(results.slice(5)).toEqual(new Array(7).fill({ kind: "refuse", code: "no_free_node" }));
  });
});

describe("a node", () => {
  test("that offers to another shard than its own is sent on, and leaves it where it was a member", async () => {
    const { card, pool } = await sharded(2);
    const nodeId = nodeOf(1, 2);
    const said = { nodeId, card, free: 1, taken: [] };
    // The first shard learns of the others by its first report, so that it still takes this one.
    expect(await (await pool(0)).offer(said)).toMatchObject({ isMember: true });
    expect(await (await pool(0)).offer(said)).toMatchObject({ isMember: false, shards: 2 });
    expect((await (await pool(0)).standing(nodeId)).counts.members).toBe(0);
    expect(await (await pool(1)).offer({ ...said, isSentOn: true })).toMatchObject({ isMember: true, shards: 2 });
  });

  test("that was sent on is taken, also by a shard that is not its own", async () => {
    const { card, pool, offer } = await sharded(2);
    await offer(0, 0);
    const said = { nodeId: nodeOf(1, 2), card, free: 1, taken: [], isSentOn: true };
    expect(await (await pool(0)).offer(said)).toMatchObject({ isMember: true });
  });

  test("that leaves is told how many shards there are, in one of which it may be", async () => {
    const { pool, offer } = await sharded(2);
    await offer(0, 0);
    expect(await (await pool(0)).leave(nodeOf(1, 2))).toEqual({ shards: 2 });
  });

  test("cannot make a shard of its own take the file for another model", async () => {
    const { card, pool, offer } = await sharded(2);
    await offer(0, 1);
    const liar = nodeOf(1, 2);
    const other = { ...card, kind: "embedding", dimensions: 2 } as const;
    const answer = await (await pool(1)).offer({ nodeId: liar, card: other, free: 9, taken: [] });
    expect(answer).toMatchObject({ isMember: false, standing: { kind: "card_disagrees" } });
  });
});

describe("a node that is connected", () => {
  /** A connected node of a model that got a second shard since, of which the node's key is. */
  async function connected(card: ModelCard) {
    let identity = await newIdentity();
    while (shardOf(identity.nodeId, 2) === 0) identity = await newIdentity();
    const node = await welcomed([card], identity);
    node.pull(card.fileSha256, 1);
    await untilMember(card, node);
    const told = { liveNodes: 1_200, slots: 0, freeSlots: 0, waiting: 0, atMs: Date.now() };
    await statusStub(env).reportPool({ card, shard: 200, ...told });
    await runInDurableObject(shardStub(card, 0), (pool) => pool.alarm());
    node.pull(card.fileSha256, 2);
    const standing = async () => (await shardStub(card, 1).standing(node.nodeId)).kind;
    await until(async () => (await standing()) === "idle_no_demand" || undefined, "the node in its new shard");
    return node;
  }

  test("moves to the shard that is its own", async () => {
    const card = newCard();
    const node = await connected(card);
    expect((await shardStub(card, 0).standing(node.nodeId)).kind).toBe("not_member");
    const wish = { attemptId: newAttemptId(), exclude: [], waitMs: 10_000 };
    expect(await shardStub(card, 0).claim(wish)).toEqual({ kind: "lease", nodeId: node.nodeId });
  });

  test("leaves the shard that it moved to", async () => {
    const card = newCard();
    const node = await connected(card);
    node.send({ type: "status", state: "draining", running: 0 });
    const standing = async () => (await shardStub(card, 1).standing(node.nodeId)).kind;
    await until(async () => (await standing()) === "not_member" || undefined, "the node out of its shard");
  });
});
