import { env } from "cloudflare:test";
import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { ModelCard } from "../../core/model/model-card.ts";
import { AccountObject } from "../../edge/objects/account-object.ts";
import { StatusObject, statusStub } from "../../edge/objects/status-object.ts";
import { wholeStream } from "./chat-stream.ts";
import {
  accountStub,
  ask,
  chat,
  contentOf,
  dealer,
  listedCards,
  newKey,
  pooled,
  poolStub,
  untilWaiting,
} from "./deployment.ts";
import { closeNodes, type FakeNode } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";
import { recordOf } from "./record.ts";
import { reset } from "./reset.ts";
import { begunStream, storyIds, storyOf, tell } from "./story.ts";
import { until } from "./until.ts";

const postgres = standInForPostgres();
// Down, so that records can be read where they wait. Objects that are reset are logged.
beforeEach(() => {
  postgres.isDown = true;
  vi.spyOn(console, "error").mockReturnValue(undefined);
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

/** The three objects beside a stream's own node that its task knows. */
const objects = (card: ModelCard, account: Awaited<ReturnType<typeof newKey>>) =>
  ({
    pool: () => reset(poolStub(card)),
    account: () => reset(accountStub(account.accountId)),
    status: () => reset(statusStub(env)),
  }) as const;

async function serve(key: string, card: ModelCard, node: FakeNode): Promise<void> {
  const asked = chat(key, card, "Hello");
  node.answer(await node.next("task"), "Hello");
  expect(await contentOf(await asked)).toEqual({ content: "Hello", nodes: [node.nodeId] });
}

test.each(["pool", "account", "status"] as const)(
  "a %s object that is reset while an answer is under way is not noticed by its caller, nor by the next",
  async (which) => {
    const [card, account] = [nextCard(), await newKey()];
    const node = await pooled(card, 2);
    const { task, stream } = await begunStream(account.key, card, { node, pieces: 2 });
    await objects(card, account)[which]();
    tell(node, task, { from: 2, to: 4 });
    node.commit(task, { completionTokens: 4 });
    expect(await stream.end()).toEqual(wholeStream(storyOf(4), 4, [node]));
    await serve(account.key, card, node);
  },
);

test.each(["pool", "account", "status"] as const)(
  "a %s object that is reset between two requests is not noticed by the second, whoever asks",
  async (which) => {
    const [card, account] = [nextCard(), await newKey()];
    const node = await pooled(card, 2);
    await serve(account.key, card, node);
    await objects(card, account)[which]();
    // A key that no router has seen yet is checked with its account.
    const { secret } = await accountStub(account.accountId).createKey({ accountId: account.accountId, name: "tests" });
    await objects(card, account)[which]();
    await serve(secret, card, node);
    expect((await ask("/v1/models", { key: secret })).status).toBe(200);
  },
);

/** In the place of a question, once: its object is reset under it. */
const breaksDown = () => {
  throw new Error("the object was reset");
};

test("a request whose key is checked by an account object that is reset under the question is served", async () => {
  const [card, account] = [nextCard(), await newKey()];
  const node = await pooled(card, 1);
  const checkKey = vi.spyOn(AccountObject.prototype, "checkKey").mockImplementationOnce(breaksDown);
  await serve(account.key, card, node);
  expect(checkKey).toHaveBeenCalledTimes(2);
});

test("a request for the models that a status object is asked for as it is reset gets them", async () => {
  const account = await newKey();
  const models = vi.spyOn(StatusObject.prototype, "models").mockImplementationOnce(breaksDown);
  // A router asks at most once a second.
  await until(async () => {
    expect((await ask("/v1/models", { key: account.key })).status).toBe(200);
    return models.mock.calls.length === 2 || undefined;
  }, "the second question");
});

test("requests that wait in a pool that is reset are served by it when room comes", async () => {
  const [card, account] = [nextCard(), await newKey()];
  const node = await pooled(card, 0);
  const asked = [chat(account.key, card, "one"), chat(account.key, card, "two")];
  await untilWaiting(card, 2);
  await reset(poolStub(card));
  node.pull(card.fileSha256, 2);
  for (let task = 0; task < 2; task += 1) node.answer(await node.next("task"), "Hello");
  for (const each of asked) expect(await contentOf(await each)).toEqual({ content: "Hello", nodes: [node.nodeId] });
});

test("a stream whose node fails once its pool was reset is continued by another", async () => {
  const [card, account] = [nextCard(), await newKey()];
  const [first, second] = [await pooled(card, 1), await pooled(card, 0)];
  const { task, stream } = await begunStream(account.key, card, { node: first, pieces: 2 });
  await reset(poolStub(card));
  first.fail(task, { code: "engine_error", message: "broken" });
  second.pull(card.fileSha256, 1);
  const again = await second.next("task");
  expect(again.continues).toEqual(storyIds(2));
  second.ack(again);
  tell(second, again, { from: 2, to: 4, seq: 0 });
  second.commit(again, { completionTokens: 2 });
  expect(await stream.end()).toEqual(wholeStream(storyOf(4), 4, [first, second]));
});

test("the end of a task that no node can tell of is on record, though its account is reset under it", async () => {
  const [card, account] = [nextCard(), await newKey()];
  const node = await pooled(card, 1);
  const recordTask = vi.spyOn(AccountObject.prototype, "recordTask");
  recordTask.mockImplementationOnce(() => Promise.reject(new Error("the object was reset")));
  const asked = chat(account.key, card, "Hello");
  const task = await node.next("task");
  node.fail(task, { code: "unsupported", message: "This model has no chat template." });
  expect((await asked).status).toBe(400);
  expect(await recordOf(task, { nodes: [], accountId: account.accountId })).toMatchObject({
    state: "failed",
    errorCode: "unsupported_parameter",
  });
  expect(recordTask).toHaveBeenCalledTimes(2);
});
