import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { ModelCard } from "../../core/model/model-card.ts";
import type { HeldAttempt } from "../../core/wire/node-frame.ts";
import type { TaskFrame } from "../../core/wire/router-frame.ts";
import { NodeObject } from "../../edge/objects/node-object.ts";
import { wholeStream } from "./chat-stream.ts";
import { ask, chat, contentOf, dealer, listedCards, newInvite, newKey, pooled, untilMember } from "./deployment.ts";
import { closeNodes, FakeNode, newIdentity } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";
import { endsOf, recordOf } from "./record.ts";
import { askStream, begunStream, begunWhole, storyIds, storyOf, tell } from "./story.ts";
import { until } from "./until.ts";

// Long enough for the slowest machine to come back within it; what is said to happen at once does not wait for it.
vi.mock("../../core/limits.ts", async (original) => {
  const { limits } = await original<typeof import("../../core/limits.ts")>();
  return { limits: { ...limits, attachedGraceMs: 60_000 } };
});
const postgres = standInForPostgres();
// Down, so that records can be read where they wait.
beforeEach(() => {
  postgres.isDown = true;
  vi.spyOn(console, "error").mockReturnValue(undefined);
});
afterEach(async () => {
  await closeNodes();
  vi.restoreAllMocks();
});

let nextCard: () => ModelCard;
let nextEmbedder: () => ModelCard;
let account: Awaited<ReturnType<typeof newKey>>;
beforeAll(async () => {
  nextCard = dealer(await listedCards(24));
  nextEmbedder = dealer(await listedCards(1, "embedding"));
  account = await newKey();
});

/** Two nodes of one model, of which only the first has room until the second pulls. */
async function pair(card = nextCard()): Promise<{ card: ModelCard; first: FakeNode; second: FakeNode }> {
  return { card, first: await pooled(card, 1), second: await pooled(card, 0) };
}

const tellers = (...nodes: FakeNode[]) => ({ nodes, accountId: account.accountId });

/** The node's socket breaks, and its process is back on another. */
async function reconnect(node: FakeNode, holding: readonly HeldAttempt[]): ReturnType<FakeNode["comeBack"]> {
  node.drop();
  await node.closed();
  return node.comeBack(holding);
}

/** The second node goes on after so many pieces, with one of its own that ends the answer. */
async function goOn(card: ModelCard, second: FakeNode, pieces: number): Promise<TaskFrame> {
  second.pull(card.fileSha256, 1);
  const again = await second.next("task");
  expect(again.continues ?? []).toEqual(storyIds(pieces));
  second.ack(again);
  tell(second, again, { from: pieces, to: pieces + 1, seq: 0 });
  second.commit(again);
  return again;
}

describe("a node whose socket breaks in the midst of an answer and that comes back goes on", () => {
  /** One attempt that made the whole answer, and nothing of the second node. */
  async function expectOneAttempt(task: TaskFrame, { first, second }: { first: FakeNode; second: FakeNode }) {
    expect(await recordOf(task, tellers(first, second))).toMatchObject({
      state: "completed",
      promptTokens: 3,
      completionTokens: 4,
      attempts: [{ attemptId: task.attemptId, nodeId: first.nodeId, state: "committed", completionTokens: 4 }],
    });
    expect(await endsOf(task, tellers(first, second))).toHaveLength(1);
    expect(second.waiting("task")).toBe(0);
  }

  test.each<[what: string, made: number, from: number]>([
    ["with the piece that is due", 2, 2],
    ["with pieces that it made meanwhile", 3, 2],
    ["telling again what its caller has", 2, 0],
  ])("with a stream, %s", async (_what, made, from) => {
    const { card, first, second } = await pair();
    const { task, stream } = await begunStream(account.key, card, { node: first, pieces: 2 });
    const { node, welcome } = await reconnect(first, [first.holds(task, made)]);
    expect(welcome).toMatchObject({ epoch: 2, leases: [{ attemptId: task.attemptId, nextSeq: 2 }] });
    node.ack(task);
    tell(node, task, { from, to: 4 });
    node.commit(task, { completionTokens: 4 });
    expect(await stream.end()).toEqual(wholeStream(storyOf(4), 4, [first]));
    await expectOneAttempt(task, { first, second });
  });

  test("with an answer that it ended meanwhile", async () => {
    const { card, first, second } = await pair();
    const { task, stream } = await begunStream(account.key, card, { node: first, pieces: 2 });
    const { node } = await reconnect(first, [first.holds(task, 4, { isOver: true })]);
    node.ack(task);
    tell(node, task, { from: 2, to: 4 });
    node.commit(task, { completionTokens: 4 });
    expect(await stream.end()).toEqual(wholeStream(storyOf(4), 4, [first]));
    await expectOneAttempt(task, { first, second });
  });

  test("with a whole answer", async () => {
    const { card, first, second } = await pair();
    const { task, asked } = await begunWhole(account.key, card, { node: first, pieces: 2 });
    const { node, welcome } = await reconnect(first, [first.holds(task, 3)]);
    expect(welcome.leases).toEqual([{ attemptId: task.attemptId, nextSeq: 2 }]);
    node.ack(task);
    tell(node, task, { from: 2, to: 4 });
    node.commit(task, { completionTokens: 4 });
    expect(await contentOf(await asked)).toEqual({ content: storyOf(4), nodes: [first.nodeId] });
    await expectOneAttempt(task, { first, second });
  });

  test("as often as it breaks", async () => {
    const { card, first, second } = await pair();
    const { task, stream } = await begunStream(account.key, card, { node: first, pieces: 1 });
    let node = first;
    for (let pieces = 1; pieces < 4; pieces += 1) {
      ({ node } = await reconnect(node, [node.holds(task, pieces)]));
      node.ack(task);
      tell(node, task, { from: pieces, to: pieces + 1 });
      await stream.untilContent(storyOf(pieces + 1));
    }
    node.commit(task, { completionTokens: 4 });
    expect(await stream.end()).toEqual(wholeStream(storyOf(4), 4, [first]));
    await expectOneAttempt(task, { first, second });
  });

  test("with vectors", async () => {
    const { card, first, second } = await pair(nextEmbedder());
    const asked = ask("/v1/embeddings", { key: account.key, body: { model: card.name, input: ["one", "two"] } });
    const task = await first.next("task");
    first.ack(task);
    first.delta(task, 0, { vectors: [{ index: 1, float32: "AACAPwAAAAA=" }] });
    await first.untilHeard();
    const { node, welcome } = await reconnect(first, [first.holds(task, 1, { completionTokens: 0 })]);
    expect(welcome.leases).toEqual([{ attemptId: task.attemptId, nextSeq: 1 }]);
    node.ack(task);
    node.delta(task, 1, { vectors: [{ index: 0, float32: "AAAAAAAAgD8=" }] });
    node.commit(task, { completionTokens: 0 });
    expect(await (await asked).json()).toMatchObject({
      data: [{ embedding: [0, 1] }, { embedding: [1, 0] }],
      network: { nodes: [first.nodeId] },
    });
    expect(second.waiting("task")).toBe(0);
  });

  test("with each of its answers from where that was", async () => {
    const card = nextCard();
    const first = await pooled(card, 2);
    const one = await begunStream(account.key, card, { node: first, pieces: 1 });
    const other = await begunStream(account.key, card, { node: first, pieces: 3 });
    const { node, welcome } = await reconnect(first, [first.holds(other.task, 3), first.holds(one.task, 2)]);
    expect(new Map(welcome.leases.map(({ attemptId, nextSeq }) => [attemptId, nextSeq]))).toEqual(
      new Map([
        [one.task.attemptId, 1],
        [other.task.attemptId, 3],
      ]),
    );
    for (const [{ task }, from] of [
      [one, 1],
      [other, 3],
    ] as const) {
      node.ack(task);
      tell(node, task, { from, to: 4 });
      node.commit(task, { completionTokens: 4 });
    }
    for (const { stream } of [one, other]) expect((await stream.end()).content).toBe(storyOf(4));
  });
});

describe("another node goes on at once where the first", () => {
  test.each<[what: string, comesBack: (first: FakeNode, task: TaskFrame) => Promise<unknown>]>([
    ["comes back without the attempt", (first) => reconnect(first, [])],
    [
      "comes back without the pieces that are due",
      (first, task) => reconnect(first, [first.holds(task, 5, { firstSeq: 3 })]),
    ],
    ["is another process, which brings no token", (first) => freshProcess(first, undefined)],
    [
      "is another process, which brings a token that is not the last welcome's",
      (first, task) => freshProcess(first, { token: "a".repeat(22), holding: [first.holds(task, 2)] }),
    ],
  ])("%s", async (_what, comesBack) => {
    const { card, first, second } = await pair();
    const { task, stream } = await begunStream(account.key, card, { node: first, pieces: 2 });
    await comesBack(first, task);
    await goOn(card, second, 2);
    expect(await stream.end()).toEqual(wholeStream(storyOf(3), 3, [first, second]));
    expect(await recordOf(task, tellers(first, second))).toMatchObject({
      state: "completed",
      completionTokens: 3,
      attempts: [
        { attemptId: task.attemptId, state: "lost", completionTokens: 2 },
        { state: "committed", completionTokens: 1 },
      ],
    });
  });

  test.each<[when: string, isAcked: boolean]>([
    ["loses its socket before its ack", false],
    ["loses its socket before its first piece", true],
  ])("%s, and is told that the attempt is over when it comes back", async (_when, isAcked) => {
    const { card, first, second } = await pair();
    const asked = askStream(account.key, card);
    const task = await first.next("task");
    if (isAcked) first.ack(task);
    const { welcome } = await reconnect(first, [first.holds(task, 2)]);
    expect(welcome.leases).toEqual([]);
    await goOn(card, second, 0);
    expect(await (await asked).text()).toContain("[DONE]");
  });

  /** A hello of the same node that does not come from the process which had its last socket. */
  async function freshProcess(first: FakeNode, resume: { token: string; holding: HeldAttempt[] } | undefined) {
    const fresh = await FakeNode.dial(first.identity);
    const hello = await fresh.hello({ models: [nextCard()], ...(resume === undefined ? {} : { resume }) });
    fresh.send(hello);
    expect((await fresh.next("welcome")).leases).toEqual([]);
    expect(await first.next("reject")).toMatchObject({ code: "superseded" });
  }
});

test("what an older socket of a node still says is nobody's word, and the answer goes on by the newer one", async () => {
  const card = nextCard();
  const { token } = await newInvite();
  const older = await FakeNode.dial(await newIdentity(), { cutOff: true });
  older.send(await older.hello({ models: [card], invite: token }));
  await older.next("welcome");
  older.pull(card.fileSha256, 1);
  await untilMember(card, older);
  const { task, stream } = await begunStream(account.key, card, { node: older, pieces: 2 });
  const { node, welcome } = await older.comeBack([older.holds(task, 2)]);
  expect(welcome.leases).toEqual([{ attemptId: task.attemptId, nextSeq: 2 }]);
  node.ack(task);
  const heard = vi.spyOn(NodeObject.prototype, "webSocketMessage");
  older.delta(task, 2, { text: "wrong", tokenIds: [9] });
  older.commit(task, { completionTokens: 3 });
  older.fail(task, { code: "engine_error", message: "the last word of the older socket" });
  await until(
    () => heard.mock.calls.some(([, message]) => String(message).includes("the last word")) || undefined,
    "what the older socket said",
  );
  tell(node, task, { from: 2, to: 4 });
  node.commit(task, { completionTokens: 4 });
  expect(await stream.end()).toEqual(wholeStream(storyOf(4), 4, [older]));
});

test("a node that comes back has no room until it pulls anew", async () => {
  const { card, first, second } = await pair();
  const { task, stream } = await begunStream(account.key, card, { node: first, pieces: 2 });
  const { node } = await reconnect(first, [first.holds(task, 2)]);
  node.ack(task);
  const asked = chat(account.key, card, "Hello");
  second.pull(card.fileSha256, 1);
  second.answer(await second.next("task"), "Hello");
  expect((await contentOf(await asked)).nodes).toEqual([second.nodeId]);
  node.pull(card.fileSha256, 1);
  const later = chat(account.key, card, "Hello again");
  node.answer(await node.next("task"), "Hello again");
  expect((await contentOf(await later)).nodes).toEqual([first.nodeId]);
  node.commit(task, { completionTokens: 2 });
  expect((await stream.end()).content).toBe(storyOf(2));
});
