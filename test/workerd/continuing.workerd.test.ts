import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { ModelCard } from "../../core/model/model-card.ts";
import type { TaskFrame } from "../../core/wire/router-frame.ts";
import { wholeStream } from "./chat-stream.ts";
import { ask, contentOf, dealer, listedCards, newKey, pooled } from "./deployment.ts";
import { closeNodes, type FakeNode } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";
import { endsOf, recordOf } from "./record.ts";
import { begunStream, begunWhole, storyIds, storyOf, tell } from "./story.ts";

// A node that lost its socket is waited for only briefly: here it never comes back.
vi.mock("../../core/limits.ts", async (original) => {
  const { limits } = await original<typeof import("../../core/limits.ts")>();
  return { limits: { ...limits, attachedGraceMs: 200 } };
});
const postgres = standInForPostgres();
// Down, so that records can be read where they wait. Broken frames are logged, and these tests break many.
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
let nextEmbedder: () => ModelCard;
let account: Awaited<ReturnType<typeof newKey>>;
beforeAll(async () => {
  nextCard = dealer(await listedCards(32));
  nextEmbedder = dealer(await listedCards(4, "embedding"));
  account = await newKey();
});

/** Two nodes of one model, of which only the first has room until the second pulls. */
async function pair(card = nextCard()): Promise<{ card: ModelCard; first: FakeNode; second: FakeNode }> {
  return { card, first: await pooled(card, 1), second: await pooled(card, 0) };
}

const tellers = (...nodes: FakeNode[]) => ({ nodes, accountId: account.accountId });

/** What becomes of the first node's attempt, `reason` being what the record says of it. */
type Misdeed = (node: FakeNode, task: TaskFrame) => void;
const misdeeds: [what: string, misdeed: Misdeed, state: string, reason: RegExp][] = [
  ["dies", (node) => node.drop(), "lost", /^the node's socket did not come back$/],
  ["says that it is done", (node) => node.close(), "lost", /^the node's socket did not come back$/],
  ["drains to its end", (node) => node.send({ type: "drained" }), "lost", /^the node's socket did not come back$/],
  [
    "breaks the protocol of its socket",
    (node) => node.sendRaw("what"),
    "lost",
    /^the node's socket did not come back$/,
  ],
  [
    "has an engine that fails",
    (node, task) => node.fail(task, { code: "engine_error", message: "broken" }),
    "rejected",
    /^engine_error: broken$/,
  ],
  ["has lost its pieces", (node, task) => node.fail(task, { code: "lost_pieces" }), "lost", /^lost_pieces$/],
  [
    "says that the prompt does not fit after all",
    (node, task) =>
      node.fail(task, { code: "context_length_exceeded", promptTokens: 2, contextTokens: 1, inputIndex: 0 }),
    "rejected",
    /^context_length_exceeded$/,
  ],
  [
    "skips a piece",
    (node, task) => node.delta(task, 3, { text: "wrong", tokenIds: [1] }),
    "rejected",
    /^protocol: delta 3 came where 2 was due$/,
  ],
  ["counts more than it sent", (node, task) => node.commit(task, { completionTokens: 3 }), "rejected", /^protocol: /],
  ["counts less than it sent", (node, task) => node.commit(task, { completionTokens: 1 }), "rejected", /^protocol: /],
  [
    "counts another prompt",
    (node, task) => node.commit(task, { promptTokens: 4, completionTokens: 2 }),
    "rejected",
    /^protocol: /,
  ],
  [
    "gives up what nobody cancelled",
    (node, task) => node.commit(task, { finishReason: "cancelled", completionTokens: 2 }),
    "rejected",
    /^protocol: /,
  ],
];

/** The second node goes on after two pieces with two of its own. */
async function goOn(card: ModelCard, second: FakeNode): Promise<TaskFrame> {
  second.pull(card.fileSha256, 1);
  const again = await second.next("task");
  second.ack(again);
  tell(second, again, { from: 2, to: 4, seq: 0 });
  second.commit(again, { completionTokens: 2 });
  return again;
}

test.each(misdeeds)(
  "a stream whose node %s is continued by another, and its caller has one stream",
  async (_what, misdeed, state, reason) => {
    const { card, first, second } = await pair();
    const { task, stream } = await begunStream(account.key, card, { node: first, pieces: 2 });
    misdeed(first, task);
    const again = await goOn(card, second);
    expect(again).toEqual({ ...task, attemptId: again.attemptId, continues: storyIds(2) });
    expect(again.attemptId).not.toBe(task.attemptId);
    expect(await stream.end()).toEqual(wholeStream(storyOf(4), 4, [first, second]));
    expect(await recordOf(task, tellers(first, second))).toMatchObject({
      state: "completed",
      finishReason: "stop",
      promptTokens: 3,
      completionTokens: 4,
      attempts: [
        {
          attemptId: task.attemptId,
          nodeId: first.nodeId,
          state,
          reason: expect.stringMatching(reason),
          completionTokens: 2,
        },
        {
          attemptId: again.attemptId,
          nodeId: second.nodeId,
          state: "committed",
          reason: null,
          completionTokens: 2,
        },
      ],
    });
    expect(await endsOf(task, tellers(first, second))).toHaveLength(1);
  },
);

test.each(misdeeds)("a whole answer whose node %s is continued by another", async (_what, misdeed, state) => {
  const { card, first, second } = await pair();
  const { task, asked } = await begunWhole(account.key, card, { node: first, pieces: 2 });
  misdeed(first, task);
  const again = await goOn(card, second);
  expect(again.continues).toEqual(storyIds(2));
  const response = await asked;
  expect(await response.clone().json()).toMatchObject({
    usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 },
  });
  expect(await contentOf(response)).toEqual({ content: storyOf(4), nodes: [first.nodeId, second.nodeId] });
  expect(await recordOf(task, tellers(first, second))).toMatchObject({
    state: "completed",
    completionTokens: 4,
    attempts: [
      { nodeId: first.nodeId, state, completionTokens: 2 },
      { nodeId: second.nodeId, state: "committed", completionTokens: 2 },
    ],
  });
});

test("a node that gives no sign of life while it works counts as gone, though its socket looks open", async () => {
  const { card, first, second } = await pair();
  const { task, stream } = await begunStream(account.key, card, { node: first, pieces: 2 });
  first.mute();
  await goOn(card, second);
  expect(await stream.end()).toEqual(wholeStream(storyOf(4), 4, [first, second]));
  expect(await first.closed()).toEqual({ code: 4004, reason: "no sign of life" });
  expect((await recordOf(task, tellers(first, second))).attempts).toMatchObject([
    { nodeId: first.nodeId, state: "lost", completionTokens: 2 },
    { nodeId: second.nodeId, state: "committed", completionTokens: 2 },
  ]);
});

test("a node that cannot go on is replaced in its turn, and the next gets all that the caller has", async () => {
  const card = nextCard();
  const [first, second, third] = [await pooled(card, 1), await pooled(card, 0), await pooled(card, 0)];
  const { task, stream } = await begunStream(account.key, card, { node: first, pieces: 2 });
  first.fail(task, { code: "engine_error", message: "broken" });
  second.pull(card.fileSha256, 1);
  const again = await second.next("task");
  second.ack(again);
  tell(second, again, { from: 2, to: 3, seq: 0 });
  await stream.untilContent(storyOf(3));
  second.fail(again, { code: "engine_error", message: "broken too" });
  third.pull(card.fileSha256, 1);
  const last = await third.next("task");
  expect(last.continues).toEqual(storyIds(3));
  third.ack(last);
  tell(third, last, { from: 3, to: 5, seq: 0 });
  third.commit(last, { completionTokens: 2 });
  expect(await stream.end()).toEqual(wholeStream(storyOf(5), 5, [first, second, third]));
  const record = await recordOf(task, tellers(first, second, third));
  expect(record.attempts.map(({ completionTokens }) => completionTokens)).toEqual([2, 1, 2]);
  expect(record.completionTokens).toBe(5);
});

test("a node that has nothing to add to what another made ends the answer", async () => {
  const { card, first, second } = await pair();
  const { task, stream } = await begunStream(account.key, card, { node: first, pieces: 2 });
  first.drop();
  second.pull(card.fileSha256, 1);
  const again = await second.next("task");
  second.ack(again);
  second.commit(again, { completionTokens: 0 });
  expect(await stream.end()).toEqual(wholeStream(storyOf(2), 2, [first]));
  expect(await recordOf(task, tellers(first, second))).toMatchObject({ state: "completed", completionTokens: 2 });
});

test("a stream whose only node fails waits for another to join", async () => {
  const card = nextCard();
  const first = await pooled(card, 1);
  const { task, stream } = await begunStream(account.key, card, { node: first, pieces: 2 });
  first.fail(task, { code: "engine_error", message: "broken" });
  await first.untilHeard();
  const late = await pooled(card, 0);
  expect((await goOn(card, late)).continues).toEqual(storyIds(2));
  expect(await stream.end()).toEqual(wholeStream(storyOf(4), 4, [first, late]));
});

test("embeddings whose node dies begin anew, and nothing of its vectors is in the answer", async () => {
  const { card, first, second } = await pair(nextEmbedder());
  const asked = ask("/v1/embeddings", { key: account.key, body: { model: card.name, input: ["one", "two"] } });
  const task = await first.next("task");
  first.ack(task);
  first.delta(task, 0, { vectors: [{ index: 0, float32: "AACAPwAAgD8=" }] });
  await first.untilHeard();
  first.drop();
  second.pull(card.fileSha256, 1);
  const again = await second.next("task");
  expect(again).toEqual({ ...task, attemptId: again.attemptId });
  second.ack(again);
  for (const index of [0, 1]) second.delta(again, index, { vectors: [{ index, float32: "AAAAAAAAAAA=" }] });
  second.commit(again, { completionTokens: 0 });
  expect(await (await asked).json()).toMatchObject({
    data: [{ embedding: [0, 0] }, { embedding: [0, 0] }],
    network: { nodes: [second.nodeId] },
  });
  expect(await recordOf(task, tellers(first, second))).toMatchObject({
    state: "completed",
    attempts: [
      { nodeId: first.nodeId, state: "lost" },
      { nodeId: second.nodeId, state: "committed" },
    ],
  });
});
