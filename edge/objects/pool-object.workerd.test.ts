import { env } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { newAccountId, newAttemptId, nodeIdSchema, randomText } from "../../core/ids.ts";
import { catalogue } from "../../core/model/catalogue.ts";
import { type ModelCard, modelNameSchema } from "../../core/model/model-card.ts";
import type { Standing } from "../../core/node-pool/standing.ts";
import { newCard, poolStub } from "../../test/workerd/deployment.ts";
import type { Offer } from "./pool-calls.ts";
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

describe("claims", () => {
  /** A pool with one node, which says on demand what room it has. */
  async function poolWithOne() {
    const card = newCard({ slots: 8 });
    const pool = poolStub(card);
    const nodeId = newNodeId();
    const say = (free: number, fields: Partial<Offer> = {}) => pool.offer({ nodeId, card, free, taken: [], ...fields });
    await say(0);
    return { card, pool, nodeId, say };
  }

  test("of several accounts are served in turn, by weight, whoever asked first and most", async () => {
    const { pool, say } = await poolWithOne();
    const order: string[] = [];
    const asked: Promise<unknown>[] = [];
    for (const [name, weight, count] of [
      ["x", 1, 4],
      ["y", 2, 3],
    ] as const) {
      const accountId = newAccountId();
      for (let number = 1; number <= count; number += 1) {
        const claim = pool.claim({ attemptId: newAttemptId(), accountId, weight, exclude: [], waitMs: 20_000 });
        asked.push(claim.then(() => order.push(`${name}${number}`)));
      }
    }
    // All have arrived by the time of the next call, which keeps their order.
    for (let free = 1; free <= asked.length; free += 1) await say(free);
    await Promise.all(asked);
    expect(order.join(" ")).toBe("x1 y1 y2 x2 y3 x3 x4");
  });

  test("of a higher priority are served first", async () => {
    const { pool, say } = await poolWithOne();
    const order: number[] = [];
    const asked = [0, -1, 1].map((priority) => {
      const claim = pool.claim({ attemptId: newAttemptId(), priority, exclude: [], waitMs: 20_000 });
      return claim.then(() => order.push(priority));
    });
    for (let free = 1; free <= asked.length; free += 1) await say(free);
    await Promise.all(asked);
    expect(order).toEqual([1, 0, -1]);
  });

  test("of one attempt, asked twice, get one place", async () => {
    const { pool, nodeId, say } = await poolWithOne();
    const wish = { attemptId: newAttemptId(), exclude: [], waitMs: 20_000 };
    const twice = [pool.claim(wish), pool.claim(wish)];
    await say(2);
    expect(await Promise.all(twice)).toEqual([
      { kind: "lease", nodeId },
      { kind: "lease", nodeId },
    ]);
    expect((await say(2)).standing.counts.freeSlots).toBe(1);
  });

  test("of a task under way wait for a node to come, where others are told at once that none lives", async () => {
    const card = newCard();
    const pool = poolStub(card);
    const wish = () => ({ attemptId: newAttemptId(), exclude: [], waitMs: 20_000 });
    expect(await pool.claim(wish())).toEqual({ kind: "refuse", code: "no_live_node" });
    const patient = pool.claim({ ...wish(), isPatient: true });
    const nodeId = newNodeId();
    await pool.offer({ nodeId, card, free: 1, taken: [] });
    expect(await patient).toEqual({ kind: "lease", nodeId });
  });

  test("come back to a node whose socket broke only where nobody else lives", async () => {
    const { card, pool, nodeId, say } = await poolWithOne();
    const wish = () => ({ attemptId: newAttemptId(), exclude: [], avoid: [nodeId], waitMs: 20_000 });
    const alone = pool.claim(wish());
    await say(1);
    expect(await alone).toEqual({ kind: "lease", nodeId });
    const other = newNodeId();
    await pool.offer({ nodeId: other, card, free: 0, taken: [] });
    await say(4);
    const beside = pool.claim(wish());
    await pool.offer({ nodeId: other, card, free: 1, taken: [] });
    expect(await beside).toEqual({ kind: "lease", nodeId: other });
  });

  test("of a conversation go to the node of its last turn", async () => {
    const { card, pool } = await poolWithOne();
    for (let node = 0; node < 6; node += 1) await pool.offer({ nodeId: newNodeId(), card, free: 8, taken: [] });
    const turn = (affinity: string) => pool.claim({ attemptId: newAttemptId(), exclude: [], affinity, waitMs: 0 });
    const firstTurn = await turn("talk");
    for (let number = 0; number < 4; number += 1) expect(await turn("talk")).toEqual(firstTurn);
  });
});

describe("a node is told", () => {
  test.each<[standing: string, fields: Partial<Offer>, kind: Standing["kind"]]>([
    ["that nobody asks for its model", {}, "idle_no_demand"],
    ["that it is busy", { free: 0 }, "busy"],
    ["that it is put aside", { asideUntilMs: Date.now() + 60_000 }, "aside"],
  ])("%s", async (_standing, fields, kind) => {
    const card = newCard();
    const nodeId = newNodeId();
    const answer = await poolStub(card).offer({ nodeId, card, free: 1, taken: [], ...fields });
    expect(answer).toMatchObject({ shards: 1, isMember: true, standing: { kind, counts: { members: 1 } } });
    expect((await poolStub(card).standing(nodeId)).kind).toBe(kind);
  });

  test("that its card disagrees with others'", async () => {
    const card = newCard();
    const pool = poolStub(card);
    await pool.offer({ nodeId: newNodeId(), card, free: 1, taken: [] });
    const liar = newNodeId();
    const other: ModelCard = { ...card, kind: "embedding", dimensions: 2 };
    const answer = await pool.offer({ nodeId: liar, card: other, free: 1, taken: [] });
    expect(answer).toMatchObject({ isMember: false, standing: { kind: "card_disagrees" } });
    await pool.offer({ nodeId: liar, card, free: 1, taken: [] });
    expect((await pool.standing(liar)).kind).toBe("idle_no_demand");
  });

  test("that it is no member any more, and that others are sooner", async () => {
    const card = newCard();
    const pool = poolStub(card);
    const [fast, slow] = [newNodeId(), newNodeId()];
    await pool.offer({ nodeId: fast, card, free: 4, taken: [], firstTokenMs: 10 });
    await pool.offer({ nodeId: slow, card, free: 4, taken: [], firstTokenMs: 900 });
    const claim = await pool.claim({ attemptId: newAttemptId(), exclude: [], waitMs: 0 });
    expect(claim).toEqual({ kind: "lease", nodeId: fast });
    expect([(await pool.standing(fast)).kind, (await pool.standing(slow)).kind]).toEqual([
      "serving",
      "idle_others_sooner",
    ]);
    await pool.leave(fast);
    expect((await pool.standing(fast)).kind).toBe("not_member");
  });
});
