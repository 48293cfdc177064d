import { env, runDurableObjectAlarm, runInDurableObject, SELF } from "cloudflare:test";
import { z } from "zod";
import {
  type AccountId,
  type InviteId,
  type KeyId,
  modelHashSchema,
  newAccountId,
  randomText,
} from "../../core/ids.ts";
import { type ModelCard, modelCardSchema } from "../../core/model/model-card.ts";
import { poolName } from "../../core/node-pool/pool-name.ts";
import { type RecordEntry, recordEntrySchema } from "../../core/record/entry.ts";
import type { AccountObject } from "../../edge/objects/account-object.ts";
import type { NodeObject } from "../../edge/objects/node-object.ts";
import type { PoolObject } from "../../edge/objects/pool-object.ts";
import { statusStub } from "../../edge/objects/status-object.ts";
import { FakeNode, type NodeIdentity, newIdentity, routerHost } from "./fake-node.ts";
import { until } from "./until.ts";

/** A model file that nobody else has: fresh name, fresh hash. */
export function newCard(
  fields: Partial<Pick<ModelCard, "kind" | "slots" | "decoding">> & { name?: string } = {},
): ModelCard {
  // A fake node says what its test has it say: nobody could check that.
  const { kind = "chat", slots = 4, name = `model-${randomText(12)}`, decoding = "own" } = fields;
  return modelCardSchema.parse({
    name,
    fileSha256: newHash(),
    kind,
    sizeBytes: 1_000_000,
    quantization: "Q4_1",
    architecture: kind === "chat" ? "llama" : "bert",
    contextTokens: 2_048,
    ...(kind === "chat" ? {} : { dimensions: 2 }),
    slots,
    tokensPerSecond: 10,
    decoding,
  });
}

function newHash(): ModelCard["fileSha256"] {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return modelHashSchema.parse(Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(""));
}

/**
 * Model files whose names the router knows already, so that no test waits for its list of names to be read again
 * (once a second at most). No node holds them yet.
 */
export async function listedCards(
  count: number,
  kind: ModelCard["kind"] = "chat",
  decoding: ModelCard["decoding"] = "own",
): Promise<ModelCard[]> {
  const cards = Array.from({ length: count }, () => newCard({ kind, ...(decoding === undefined ? {} : { decoding }) }));
  for (const card of cards) {
    const nobody = { liveNodes: 0, slots: 0, freeSlots: 0, waiting: 0, atMs: Date.now() };
    await statusStub(env).reportPool({ card, ...nobody });
  }
  await until(async () => {
    const html = await (await SELF.fetch(`https://${routerHost}/`)).text();
    return cards.every((card) => html.includes(card.name)) || undefined;
  }, "the models' names");
  return cards;
}

/** The next of some listed models; each test takes its own. */
export function dealer(cards: readonly ModelCard[]): () => ModelCard {
  let next = 0;
  return () => {
    const card = cards[next];
    next += 1;
    if (card === undefined) throw new Error("this file lists too few models: raise the count");
    return card;
  };
}

export async function newInvite(
  fields: { maxNodes?: number; expiresAtMs?: number | null } = {},
): Promise<{ id: InviteId; accountId: AccountId; token: string }> {
  const { maxNodes = 1, expiresAtMs = null } = fields;
  const accountId = newAccountId();
  const issued = await accountStub(accountId).createInvite({ accountId, name: "tests", maxNodes, expiresAtMs });
  return { id: issued.id, accountId, token: issued.secret };
}

export async function newKey(): Promise<{ id: KeyId; accountId: AccountId; key: string }> {
  const accountId = newAccountId();
  const issued = await accountStub(accountId).createKey({ accountId, name: "tests" });
  return { id: issued.id, accountId, key: issued.secret };
}

/** A node that is welcome, with an invite of its own. It has pulled nothing yet. */
export async function welcomed(
  models: readonly ModelCard[],
  identity?: NodeIdentity,
  invite?: { token: string },
): Promise<FakeNode> {
  const node = await FakeNode.dial(identity ?? (await newIdentity()));
  const { token } = invite ?? (await newInvite());
  node.send(await node.hello({ models, invite: token }));
  await node.next("welcome");
  return node;
}

/** A node that is welcome, has pulled `credits` of its one model, and is known to the model's pool. */
export async function pooled(card: ModelCard, credits: number, invite?: { token: string }): Promise<FakeNode> {
  const node = await welcomed([card], undefined, invite);
  node.pull(card.fileSha256, credits);
  await untilMember(card, node);
  return node;
}

export async function untilMember(card: ModelCard, { nodeId }: FakeNode): Promise<void> {
  await until(async () => (await membersOf(card)).includes(nodeId) || undefined, `${nodeId} in its pool`);
}

export async function untilNoMember(card: ModelCard, { nodeId }: FakeNode): Promise<void> {
  await until(async () => !(await membersOf(card)).includes(nodeId) || undefined, `${nodeId} out of its pool`);
}

function membersOf(card: ModelCard): Promise<string[]> {
  return runInDurableObject(poolStub(card), (_pool, state) =>
    state.storage.sql
      .exec<{ node_id: string }>("SELECT node_id FROM members")
      .toArray()
      .map((row) => row.node_id),
  );
}

/** Resolves once so many requests wait in a model's queue. */
export async function untilWaiting(card: ModelCard, count: number): Promise<void> {
  await until(async () => {
    // A pool tells of its queue when its alarm rings.
    await runInDurableObject(poolStub(card), (pool) => pool.alarm());
    const models = await statusStub(env).models();
    return models.some((model) => model.card.fileSha256 === card.fileSha256 && model.waiting === count) || undefined;
  }, `${count} waiting for ${card.name}`);
}

/** What a node's or an account's object has still to tell Postgres, oldest first; not the leases that are open. */
export function outboxOf(
  stub: DurableObjectStub<NodeObject> | DurableObjectStub<AccountObject>,
): Promise<RecordEntry[]> {
  return runInDurableObject(stub, (_object: object, state) =>
    state.storage.sql
      .exec<{ entry: string }>("SELECT entry FROM outbox WHERE lease IS NULL ORDER BY id")
      .toArray()
      .map((row) => recordEntrySchema.parse(JSON.parse(row.entry))),
  );
}

export const ringAlarm = runDurableObjectAlarm;

export function accountStub(accountId: AccountId): DurableObjectStub<AccountObject> {
  return env.ACCOUNT.get(env.ACCOUNT.idFromName(accountId));
}

export function nodeStub({ nodeId }: { nodeId: string }): DurableObjectStub<NodeObject> {
  return env.NODE.get(env.NODE.idFromName(nodeId));
}

export function poolStub(card: ModelCard): DurableObjectStub<PoolObject> {
  return env.POOL.get(env.POOL.idFromName(poolName(card.fileSha256)));
}

/** A request to the router with a key, `body` as JSON where there is one. Its caller leaves when `signal` aborts. */
export function ask(
  path: string,
  { key, body, method, signal }: { key?: string; body?: unknown; method?: string; signal?: AbortSignal },
) {
  return SELF.fetch(`https://${routerHost}${path}`, {
    ...(signal === undefined ? {} : { signal }),
    method: method ?? (body === undefined ? "GET" : "POST"),
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

/** A chat request that says `content`. */
export function chat(key: string, card: ModelCard, content: string, fields: object = {}): Promise<Response> {
  const body = { model: card.name, messages: [{ role: "user", content }], ...fields };
  return ask("/v1/chat/completions", { key, body });
}

const chatAnswerSchema = z.object({
  choices: z.tuple([z.object({ message: z.object({ content: z.string() }) })]),
  network: z.object({ taskId: z.string(), nodes: z.array(z.string()) }),
});

/** The text of a whole chat answer, and the nodes it came from. */
export async function contentOf(response: Response): Promise<{ content: string; nodes: string[] }> {
  const text = await response.text();
  if (response.status !== 200) throw new Error(`status ${response.status}: ${text}`);
  const { choices, network } = chatAnswerSchema.parse(JSON.parse(text));
  return { content: choices[0].message.content, nodes: network.nodes };
}

const errorSchema = z.object({
  error: z.strictObject({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string(),
  }),
});

/** The status and error of a refused request. */
export async function refusalOf(
  response: Response,
): Promise<{ status: number; code: string; param: string | null; message: string }> {
  const { error } = errorSchema.parse(await response.json());
  return { status: response.status, code: error.code, param: error.param, message: error.message };
}
