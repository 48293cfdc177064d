import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { ModelCard } from "../../core/model/model-card.ts";
import { TellingReader } from "../../edge/telling-reader.ts";
import { countCalls } from "./call-counts.ts";
import { ChatStream } from "./chat-stream.ts";
import { chat, contentOf, dealer, listedCards, newKey, nodeStub, outboxOf, pooled } from "./deployment.ts";
import { closeNodes, type FakeNode } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";
import { toldOf, untilKept } from "./record.ts";
import { askStream, storyOf, tell } from "./story.ts";
import { until } from "./until.ts";

// What a request costs is what the deployment pays for: these numbers are not to grow unseen.
const postgres = standInForPostgres();
let counted: Awaited<ReturnType<typeof countCalls>> | undefined;
beforeEach(() => {
  postgres.isDown = false;
});
afterEach(async () => {
  counted?.restore();
  counted = undefined;
  await closeNodes();
  vi.restoreAllMocks();
});

let nextCard: () => ModelCard;
let account: Awaited<ReturnType<typeof newKey>>;
beforeAll(async () => {
  nextCard = dealer(await listedCards(16));
  account = await newKey();
});

const pieces = 12;

/** One request from asking to the last token; `isLong` keeps its lease open until storage knows of it. */
async function serve(
  node: FakeNode,
  { card, isStream, isLong = false }: { card: ModelCard; isStream: boolean; isLong?: boolean },
): Promise<void> {
  const asked = isStream ? askStream(account.key, card) : chat(account.key, card, "Hello");
  const task = await node.next("task");
  node.ack(task);
  tell(node, task, { from: 0, to: pieces });
  if (isLong) await untilKept(node);
  node.commit(task, { completionTokens: pieces });
  if (isStream) expect((await (await ChatStream.of(asked)).end()).content).toBe(storyOf(pieces));
  else expect((await contentOf(await asked)).content).toBe(storyOf(pieces));
}

/** A node that has served once, so that what is looked up once has been, and whose outbox is empty. */
async function warm(credits: number): Promise<{ node: FakeNode; card: ModelCard }> {
  const card = nextCard();
  const node = await pooled(card, credits);
  await serve(node, { card, isStream: false });
  await untilSent(node);
  return { node, card };
}

/** Resolves once Postgres has all that a node's object had to tell. */
async function untilSent(node: FakeNode): Promise<void> {
  await untilKept(node, 0);
  await until(async () => (await outboxOf(nodeStub(node))).length === 0 || undefined, "an empty outbox");
}

const kinds: [what: string, isStream: boolean][] = [
  ["a whole answer", false],
  ["a stream", true],
];

test.each(kinds)("%s asks its pool once and its node once, and nobody else", async (_what, isStream) => {
  const { node, card } = await warm(2);
  counted = await countCalls();
  await serve(node, { card, isStream });
  const {
    "pool.offer": offers = 0,
    "pool.standing": _inOffers,
    "status.reportPool": reports = 0,
    "status.models": lists = 0,
    ...calls
  } = counted.calls;
  expect(calls).toEqual({ "pool.claim": 1, "node.run": 1 });
  // Off the path: the node's word to its pool (its alarm may add one), whose answer tells its standing; the pool's to all, once in two seconds at most,
  // and the names of models, which each router reads again every ten seconds.
  expect(offers).toBeLessThanOrEqual(2);
  expect(reports).toBeLessThanOrEqual(2);
  expect(lists).toBeLessThanOrEqual(1);
});

test.each(kinds)("%s of a key that no router has seen asks its account once", async (_what, isStream) => {
  const { node, card } = await warm(3);
  account = await newKey();
  counted = await countCalls();
  await serve(node, { card, isStream });
  await serve(node, { card, isStream });
  expect(counted.calls["account.checkKey"]).toBe(1);
});

/** Rows that a request writes; those of what pools tell the deployment of themselves are not its own. */
function rowsOfRequest(rows: Record<string, number>): Record<string, number> {
  const { shard_reports: _reports, models: _models, ...own } = rows;
  return own;
}

const rowsAdded = 1;
const rowsReplaced = 1;
const rowsRemoved = 1;

test.each(kinds)(
  "%s that takes long writes its lease, its end and its sending, and nothing else",
  async (_, isStream) => {
    const { node, card } = await warm(2);
    counted = await countCalls();
    await serve(node, { card, isStream, isLong: true });
    await untilSent(node);
    expect(rowsOfRequest(counted.rows())).toEqual({ outbox: rowsAdded + rowsReplaced + rowsRemoved });
  },
);

test("ten short answers write their ends and their sendings, and nothing else", async () => {
  const { node, card } = await warm(11);
  counted = await countCalls();
  for (let request = 0; request < 10; request += 1) await serve(node, { card, isStream: false });
  await untilSent(node);
  const { outbox = 0, ...others } = rowsOfRequest(counted.rows());
  expect(others).toEqual({});
  // Ends that come close together share a row.
  expect(outbox).toBeGreaterThanOrEqual(rowsAdded + rowsRemoved);
  // A slow machine makes some of them long.
  expect(outbox).toBeLessThanOrEqual(10 * (rowsAdded + rowsReplaced + rowsRemoved));
});

test.each(kinds)("%s is told to Postgres in one entry", async (_what, isStream) => {
  const { node, card } = await warm(2);
  postgres.isDown = true;
  vi.spyOn(console, "error").mockReturnValue(undefined);
  const before = node.heard.length;
  await serve(node, { card, isStream, isLong: true });
  const task = node.heard.slice(before).find((frame) => frame.type === "task");
  if (task === undefined) throw new Error("no task");
  await untilKept(node, 0);
  expect(await toldOf(task, { nodes: [node], accountId: account.accountId })).toHaveLength(1);
});

test.each(kinds)("%s is one frame to its node, besides what is told in rounds", async (_what, isStream) => {
  const { node, card } = await warm(2);
  const before = node.heard.length;
  await serve(node, { card, isStream });
  await node.untilHeard();
  const inRounds = new Set(["acked", "standing", "heartbeat"]);
  const types = node.heard.slice(before).map(({ type }) => type);
  expect(types.filter((type) => !inRounds.has(type))).toEqual(["task"]);
  expect(types.filter((type) => type === "acked").length).toBeLessThanOrEqual(2);
});

test("pieces that come in one message reach the Worker as one", async () => {
  const { node, card } = await warm(2);
  const reads = vi.spyOn(TellingReader.prototype, "next");
  const asked = askStream(account.key, card);
  const task = await node.next("task");
  node.ack(task);
  const stream = await ChatStream.of(asked);
  for (let from = 0; from < pieces; from += 4) {
    const items = [0, 1, 2, 3].map((more) => ({
      attemptId: task.attemptId,
      seq: from + more,
      text: `${from + more} `,
      tokenIds: [100 + from + more],
    }));
    node.send({ type: "delta", items });
    await stream.untilContent(storyOf(from + 4));
  }
  node.commit(task, { completionTokens: pieces });
  expect((await stream.end()).content).toBe(storyOf(pieces));
  // Three messages of pieces and the end.
  expect(reads.mock.calls.length).toBeLessThanOrEqual(4);
});
