import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { AttemptId } from "../../core/ids.ts";
import type { ModelCard } from "../../core/model/model-card.ts";
import type { TaskFrame } from "../../core/wire/router-frame.ts";
import { ChatStream, wholeStream } from "./chat-stream.ts";
import { ask, contentOf, dealer, listedCards, newKey, nodeStub, pooled } from "./deployment.ts";
import { closeNodes, type FakeNode } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";
import { holdAttaches, watchAttaches } from "./hold-back.ts";
import { endsOf, recordOf, untilKept } from "./record.ts";
import { reset } from "./reset.ts";
import { askStream, begunStream, begunWhole, storyOf, tell } from "./story.ts";

// Long enough for the slowest machine to come back within it; what is said to happen at once does not wait for it.
vi.mock("../../core/limits.ts", async (original) => {
  const { limits } = await original<typeof import("../../core/limits.ts")>();
  return { limits: { ...limits, attachedGraceMs: 60_000, reattachMs: 60_000 } };
});
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
let nextEmbedder: () => ModelCard;
let account: Awaited<ReturnType<typeof newKey>>;
beforeAll(async () => {
  nextCard = dealer(await listedCards(32));
  nextEmbedder = dealer(await listedCards(1, "embedding"));
  account = await newKey();
});

/** Two nodes of one model, of which only the first has room until the second pulls. */
async function pair(card = nextCard()): Promise<{ card: ModelCard; first: FakeNode; second: FakeNode }> {
  return { card, first: await pooled(card, 1), second: await pooled(card, 0) };
}

const tellers = (...nodes: FakeNode[]) => ({ nodes, accountId: account.accountId });

/** Resets a node's object, which knows of one lease; its socket breaks with it. */
async function resetUnder(node: FakeNode): Promise<void> {
  await untilKept(node);
  await reset(nodeStub(node));
  await node.closed();
}

/** The rest of the story, from the piece that the router asked for, and its end. */
function tellRest(node: FakeNode, task: { attemptId: AttemptId }, from: number): void {
  node.ack(task);
  tell(node, task, { from, to: 4 });
  node.commit(task, { completionTokens: 4 });
}

/** One attempt that made the whole answer, on record once, and nothing of the second node. */
async function expectOneAttempt(task: TaskFrame, { first, second }: { first: FakeNode; second: FakeNode }) {
  expect(await recordOf(task, tellers(first, second))).toMatchObject({
    state: "completed",
    finishReason: "stop",
    promptTokens: 3,
    completionTokens: 4,
    attempts: [
      { attemptId: task.attemptId, nodeId: first.nodeId, state: "committed", promptTokens: 3, completionTokens: 4 },
    ],
  });
  await untilKept(first, 0);
  expect(await endsOf(task, tellers(first, second))).toHaveLength(1);
  expect(second.waiting("task")).toBe(0);
}

describe("an answer under way outlives the reset of its node's object", () => {
  test.each<[what: string, made: number, isOver: boolean]>([
    ["with the piece that is due", 2, false],
    ["with pieces that the node made meanwhile", 3, false],
    ["with an end that it made meanwhile", 4, true],
  ])("where the Worker is back first: a stream, %s", async (_what, made, isOver) => {
    const { card, first, second } = await pair();
    const { task, stream } = await begunStream(account.key, card, { node: first, pieces: 2 });
    const attaches = watchAttaches();
    await resetUnder(first);
    await attaches.untilSeen();
    const { node, welcome } = await first.comeBack([first.holds(task, made, { isOver })]);
    expect(welcome).toMatchObject({ epoch: 2, leases: [{ attemptId: task.attemptId, nextSeq: 2 }] });
    tellRest(node, task, 2);
    expect(await stream.end()).toEqual(wholeStream(storyOf(4), 4, [first]));
    await expectOneAttempt(task, { first, second });
  });

  test.each<[what: string, made: number, isOver: boolean]>([
    ["with the piece that is due", 2, false],
    ["with pieces that it made meanwhile", 3, false],
    ["with an end that it made meanwhile", 4, true],
  ])("where the node is back first: a stream, %s", async (_what, made, isOver) => {
    const { card, first, second } = await pair();
    const { task, stream } = await begunStream(account.key, card, { node: first, pieces: 2 });
    const attaches = holdAttaches();
    await resetUnder(first);
    const { node, welcome } = await first.comeBack([first.holds(task, made, { isOver })]);
    expect(welcome.leases).toEqual([{ attemptId: task.attemptId, nextSeq: null }]);
    expect(node.waiting("resume")).toBe(0);
    attaches.letThrough();
    expect(await node.next("resume")).toEqual({ type: "resume", attemptId: task.attemptId, nextSeq: 2 });
    tellRest(node, task, 2);
    expect(await stream.end()).toEqual(wholeStream(storyOf(4), 4, [first]));
    await expectOneAttempt(task, { first, second });
  });

  test.each<[who: string, isNodeFirst: boolean]>([
    ["the Worker", false],
    ["the node", true],
  ])("where %s is back first: a whole answer", async (_who, isNodeFirst) => {
    const { card, first, second } = await pair();
    const { task, asked } = await begunWhole(account.key, card, { node: first, pieces: 2 });
    const held = isNodeFirst ? holdAttaches() : undefined;
    const watched = isNodeFirst ? undefined : watchAttaches();
    await resetUnder(first);
    await watched?.untilSeen();
    const { node, welcome } = await first.comeBack([first.holds(task, 3)]);
    held?.letThrough();
    // Nobody has any of it yet.
    if (isNodeFirst) expect((await node.next("resume")).nextSeq).toBe(0);
    else expect(welcome.leases).toEqual([{ attemptId: task.attemptId, nextSeq: 0 }]);
    tellRest(node, task, 0);
    expect(await contentOf(await asked)).toEqual({ content: storyOf(4), nodes: [first.nodeId] });
    await expectOneAttempt(task, { first, second });
  });

  test("embeddings as well", async () => {
    const { card, first, second } = await pair(nextEmbedder());
    const asked = ask("/v1/embeddings", { key: account.key, body: { model: card.name, input: ["one", "two"] } });
    const task = await first.next("task");
    first.ack(task);
    first.delta(task, 0, { vectors: [{ index: 1, float32: "AACAPwAAAAA=" }] });
    await first.untilHeard();
    const attaches = watchAttaches();
    await resetUnder(first);
    await attaches.untilSeen();
    const { node } = await first.comeBack([first.holds(task, 1, { completionTokens: 0 })]);
    node.ack(task);
    node.delta(task, 0, { vectors: [{ index: 1, float32: "AACAPwAAAAA=" }] });
    node.delta(task, 1, { vectors: [{ index: 0, float32: "AAAAAAAAgD8=" }] });
    node.commit(task, { completionTokens: 0 });
    expect(await (await asked).json()).toMatchObject({ data: [{ embedding: [0, 1] }, { embedding: [1, 0] }] });
    expect(second.waiting("task")).toBe(0);
  });

  test("one that its node had not yet acked as well", async () => {
    const { card, first, second } = await pair();
    const asked = askStream(account.key, card);
    const task = await first.next("task");
    const attaches = watchAttaches();
    await resetUnder(first);
    await attaches.untilSeen();
    const { node, welcome } = await first.comeBack([first.holds(task, 0)]);
    expect(welcome.leases).toEqual([{ attemptId: task.attemptId, nextSeq: 0 }]);
    tellRest(node, task, 0);
    expect(await (await ChatStream.of(asked)).end()).toEqual(wholeStream(storyOf(4), 4, [first]));
    await expectOneAttempt(task, { first, second });
  });

  test("and a second reset", async () => {
    const { card, first, second } = await pair();
    const { task, stream } = await begunStream(account.key, card, { node: first, pieces: 1 });
    const attaches = watchAttaches();
    await resetUnder(first);
    await attaches.untilSeen();
    const { node } = await first.comeBack([first.holds(task, 1)]);
    node.ack(task);
    tell(node, task, { from: 1, to: 3 });
    await stream.untilContent(storyOf(3));
    await resetUnder(node);
    await attaches.untilSeen(2);
    const { node: again } = await node.comeBack([node.holds(task, 3)]);
    tellRest(again, task, 3);
    expect(await stream.end()).toEqual(wholeStream(storyOf(4), 4, [first]));
    await expectOneAttempt(task, { first, second });
  });
});
