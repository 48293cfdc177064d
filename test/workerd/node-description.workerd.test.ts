import { env } from "cloudflare:test";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import type { AccountId } from "../../core/ids.ts";
import type { ModelCard } from "../../core/model/model-card.ts";
import {
  accountStub,
  ask,
  chat,
  contentOf,
  dealer,
  listedCards,
  newInvite,
  newKey,
  refusalOf,
  untilMember,
} from "./deployment.ts";
import { closeNodes, FakeNode, newIdentity } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";
import { begunStream } from "./story.ts";
import { until } from "./until.ts";

// A node that lost its socket counts as away for long enough to be asked about, and not for longer than a test waits.
vi.mock("../../core/limits.ts", async (original) => {
  const { limits } = await original<typeof import("../../core/limits.ts")>();
  return { limits: { ...limits, awayMs: 3_000 } };
});
standInForPostgres();
// A node that is put aside is logged.
beforeEach(() => {
  vi.spyOn(console, "warn").mockReturnValue(undefined);
});
afterEach(async () => {
  await closeNodes();
  vi.restoreAllMocks();
});

let nextCard: () => ModelCard;
beforeAll(async () => {
  nextCard = dealer(await listedCards(16));
});

/** A node in its pool, and a key of its operator. */
async function operated(card = nextCard(), credits = 4): Promise<{ node: FakeNode; key: string; operator: AccountId }> {
  const { token, accountId } = await newInvite();
  const { secret } = await accountStub(accountId).createKey({ accountId, name: "tests" });
  const node = await FakeNode.dial(await newIdentity());
  node.send(await node.hello({ models: [card], invite: token }));
  await node.next("welcome");
  node.pull(card.fileSha256, credits);
  await untilMember(card, node);
  return { node, key: secret, operator: accountId };
}

const describedSchema = z.strictObject({
  object: z.literal("node"),
  id: z.string(),
  operator: z.string(),
  state: z.string(),
  registered_at: z.int(),
  last_sign_at: z.int().nullable(),
  last_loss: z.strictObject({ at: z.int(), reason: z.string() }).nullable(),
  put_aside_until: z.int().nullable(),
  running: z.int(),
  trust: z.strictObject({
    score: z.number(),
    uncertainty: z.number(),
    checks: z.string(),
    suspended: z.boolean(),
    validates: z.boolean(),
    reason: z.string().min(1),
  }),
  models: z.array(
    z.strictObject({
      id: z.string(),
      file_sha256: z.string(),
      slots: z.int(),
      free_slots: z.int(),
      standing: z.strictObject({
        kind: z.string(),
        text: z.string().min(1),
        nodes: z.int(),
        free_slots: z.int(),
        waiting: z.int(),
        tasks_last_minute: z.int(),
        tasks_last_minute_here: z.int(),
      }),
    }),
  ),
});

async function described({ nodeId }: { nodeId: string }, key: string): Promise<z.infer<typeof describedSchema>> {
  const response = await ask(`/v1/nodes/${nodeId}`, { key });
  expect(response.status).toBe(200);
  return describedSchema.parse(await response.json());
}

async function untilState(node: FakeNode, { key, state }: { key: string; state: string }): Promise<void> {
  await until(async () => (await described(node, key)).state === state || undefined, `${node.nodeId} ${state}`);
}

describe("a node is described", () => {
  test("to a key of its operator, and to the admin", async () => {
    const card = nextCard();
    const { node, key, operator } = await operated(card);
    const told = await described(node, key);
    expect(told).toMatchObject({
      id: node.nodeId,
      operator,
      state: "serving",
      last_loss: null,
      put_aside_until: null,
      running: 0,
      // Nothing is known of a new node.
      trust: { checks: "all", suspended: false, validates: true },
      models: [{ id: card.name, file_sha256: card.fileSha256, slots: 4, free_slots: 4 }],
    });
    expect(told.last_sign_at).toBeGreaterThanOrEqual(told.registered_at);
    expect(await described(node, env.ADMIN_KEY)).toMatchObject({ id: node.nodeId, operator });
  });

  test("to nobody else: for another account it looks like one that never was", async () => {
    const { node } = await operated();
    const stranger = await newKey();
    const foreign = await refusalOf(await ask(`/v1/nodes/${node.nodeId}`, { key: stranger.key }));
    expect(foreign).toMatchObject({ status: 404, code: "not_found" });
    const { nodeId } = await newIdentity();
    for (const id of [nodeId, "node_", "what", "%00", "task_0000000000"]) {
      for (const key of [stranger.key, env.ADMIN_KEY]) {
        expect(await refusalOf(await ask(`/v1/nodes/${id}`, { key }))).toEqual(foreign);
        expect(await refusalOf(await ask(`/v1/nodes/${id}/verdicts`, { key }))).toEqual(foreign);
        const appeal = { key, body: { task: "task_0000000000" } };
        expect(await refusalOf(await ask(`/v1/nodes/${id}/appeals`, appeal))).toEqual(foreign);
      }
    }
  });

  test.each<[what: string, key: string | undefined, code: string]>([
    ["without a key", undefined, "missing_api_key"],
    ["with a key that is none", "what", "invalid_api_key"],
    ["with a key that is almost the admin's", `${env.ADMIN_KEY}x`, "invalid_api_key"],
  ])("not %s", async (_what, key, code) => {
    const { node } = await operated();
    const response = await ask(`/v1/nodes/${node.nodeId}`, key === undefined ? {} : { key });
    expect(await refusalOf(response)).toMatchObject({ status: 401, code });
  });

  test("with what it works on and what it may still be sent", async () => {
    const card = nextCard();
    const { node, key } = await operated(card, 2);
    const { task, stream } = await begunStream(key, card, { node, pieces: 1 });
    expect(await described(node, key)).toMatchObject({
      state: "serving",
      running: 1,
      models: [{ slots: 4, free_slots: 1, standing: { tasks_last_minute: 1, tasks_last_minute_here: 1 } }],
    });
    node.commit(task);
    await stream.end();
    expect(await described(node, key)).toMatchObject({ running: 0, models: [{ free_slots: 1 }] });
  });

  test("as draining once it drains, and as offline once it has", async () => {
    const { node, key } = await operated();
    node.send({ type: "status", state: "draining", running: 0 });
    await untilState(node, { key, state: "draining" });
    node.send({ type: "drained" });
    await node.closed();
    const told = await described(node, key);
    expect(told).toMatchObject({ state: "offline", last_sign_at: null, last_loss: { reason: "the node drained" } });
    expect(told.models).toMatchObject([{ free_slots: 0, standing: { kind: "not_member" } }]);
  });

  test("as away when it has lost its socket, as offline when it does not come back", async () => {
    const { node, key } = await operated();
    node.drop();
    await node.closed();
    const told = await described(node, key);
    expect(told).toMatchObject({ state: "away", last_sign_at: null, models: [{ free_slots: 0 }] });
    expect(told.last_loss?.reason).toMatch(/^the socket closed with /);
    await untilState(node, { key, state: "offline" });
  });

  test("as serving again when it comes back, with what it lost last", async () => {
    const card = nextCard();
    const { node, key } = await operated(card);
    node.drop();
    await node.closed();
    const { node: again } = await node.comeBack([]);
    again.pull(card.fileSha256, 1);
    await untilState(again, { key, state: "serving" });
    expect((await described(again, key)).last_loss?.reason).toMatch(/^the socket closed with /);
  });
});

describe("a node that loses its socket six times within a minute", () => {
  async function flapping(card: ModelCard): Promise<{ node: FakeNode; key: string }> {
    const { node: first, key } = await operated(card);
    let node = first;
    for (let losses = 0; losses < 6; losses += 1) {
      expect((await described(node, key)).put_aside_until).toBeNull();
      node.drop();
      await node.closed();
      ({ node } = await node.comeBack([]));
    }
    node.pull(card.fileSha256, 1);
    return { node, key };
  }

  test("is put aside for half a minute, and says why", async () => {
    const card = nextCard();
    const beforeSeconds = Math.floor(Date.now() / 1_000);
    const { node, key } = await flapping(card);
    const told = await until(async () => {
      const now = await described(node, key);
      return now.models[0]?.standing.kind === "aside" ? now : undefined;
    }, "the standing");
    expect(told.state).toBe("serving");
    expect(told.put_aside_until).toBeGreaterThanOrEqual(beforeSeconds + 30);
    expect(told.put_aside_until).toBeLessThanOrEqual(Math.floor(Date.now() / 1_000) + 30);
    expect((await node.next("standing")).kind).toBe("aside");
  });

  test("is given work only where nobody else is left", async () => {
    const card = nextCard();
    const { node: flaky, key } = await flapping(card);
    const { node: steady } = await operated(card, 1);
    const asked = chat(key, card, "Hello");
    steady.answer(await steady.next("task"), "Hello");
    expect((await contentOf(await asked)).nodes).toEqual([steady.nodeId]);
    steady.close();
    const later = chat(key, card, "Hello");
    flaky.answer(await flaky.next("task"), "Hello");
    expect((await contentOf(await later)).nodes).toEqual([flaky.nodeId]);
  });
});
