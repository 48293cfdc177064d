import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { ModelCard } from "../../core/model/model-card.ts";
import type { TaskFrame } from "../../core/wire/router-frame.ts";
import { NodeObject } from "../../edge/objects/node-object.ts";
import { Outbox } from "../../edge/objects/outbox.ts";
import { Reader } from "../../edge/objects/reader.ts";
import { ChatStream, wholeStream } from "./chat-stream.ts";
import { chat, contentOf, dealer, listedCards, newKey, nodeStub, pooled } from "./deployment.ts";
import { closeNodes, type FakeNode } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";
import { holdAttaches, holdEnds, holdRunResults, watchAttaches } from "./hold-back.ts";
import { endsOf, recordOf, untilKept } from "./record.ts";
import { reset } from "./reset.ts";
import { askStream, begunStream, begunWhole, storyIds, storyOf, tell } from "./story.ts";
import { until } from "./until.ts";

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
let account: Awaited<ReturnType<typeof newKey>>;
beforeAll(async () => {
  nextCard = dealer(await listedCards(24));
  account = await newKey();
});

/** Two nodes of one model, of which only the first has room until the second pulls. */
async function pair(): Promise<{ card: ModelCard; first: FakeNode; second: FakeNode }> {
  const card = nextCard();
  return { card, first: await pooled(card, 1), second: await pooled(card, 0) };
}

const tellers = (...nodes: FakeNode[]) => ({ nodes, accountId: account.accountId });

async function resetUnder(node: FakeNode): Promise<void> {
  await reset(nodeStub(node));
  await node.closed();
}

/** A task's record of one attempt, told once. */
async function expectRecordedOnce(task: TaskFrame, { first, second }: { first: FakeNode; second: FakeNode }) {
  const record = await recordOf(task, tellers(first, second));
  expect(record).toMatchObject({ state: "completed", promptTokens: 3, completionTokens: 4 });
  expect(record.attempts).toMatchObject([{ nodeId: first.nodeId, state: "committed", completionTokens: 4 }]);
  expect(await endsOf(task, tellers(first, second))).toHaveLength(1);
  expect(second.waiting("task")).toBe(0);
}

/** The second node goes on after so many pieces, with one of its own that ends the answer. */
async function goOn(card: ModelCard, second: FakeNode, pieces: number): Promise<void> {
  second.pull(card.fileSha256, 1);
  const again = await second.next("task");
  expect(again.continues ?? []).toEqual(storyIds(pieces));
  second.ack(again);
  tell(second, again, { from: pieces, to: pieces + 1, seq: 0 });
  second.commit(again);
}

test.each<[what: string, isStream: boolean]>([
  ["a stream", true],
  ["a whole answer", false],
])("%s that was on record before the reset, and not told, is told by its node again", async (_what, isStream) => {
  const { card, first, second } = await pair();
  holdRunResults();
  const asked = isStream ? askStream(account.key, card) : chat(account.key, card, "Tell me a story");
  const task = await first.next("task");
  first.ack(task);
  tell(first, task, { from: 0, to: 4 });
  await untilKept(first);
  first.commit(task, { completionTokens: 4 });
  await recordOf(task, tellers(first));
  const attaches = watchAttaches();
  await resetUnder(first);
  await attaches.untilSeen();
  const { node } = await first.comeBack([first.holds(task, 4, { isOver: true, isEndSent: true })]);
  node.ack(task);
  tell(node, task, { from: 0, to: 4 });
  node.commit(task, { completionTokens: 4 });
  if (isStream) expect(await (await ChatStream.of(asked)).end()).toEqual(wholeStream(storyOf(4), 4, [first]));
  else expect(await contentOf(await asked)).toEqual({ content: storyOf(4), nodes: [first.nodeId] });
  await expectRecordedOnce(task, { first, second });
});

test("a whole answer so short that its lease was never written, on record and not told, is told again as well", async () => {
  const { card, first, second } = await pair();
  holdRunResults();
  vi.spyOn(Outbox.prototype, "hold").mockReturnValue(undefined);
  const asked = chat(account.key, card, "Tell me a story");
  const task = await first.next("task");
  first.ack(task);
  tell(first, task, { from: 0, to: 4 });
  first.commit(task, { completionTokens: 4 });
  await recordOf(task, tellers(first));
  const attaches = watchAttaches();
  await resetUnder(first);
  await attaches.untilSeen();
  const { node } = await first.comeBack([first.holds(task, 4, { isOver: true, isEndSent: true })]);
  node.ack(task);
  tell(node, task, { from: 0, to: 4 });
  node.commit(task, { completionTokens: 4 });
  expect(await contentOf(await asked)).toEqual({ content: storyOf(4), nodes: [first.nodeId] });
  await expectRecordedOnce(task, { first, second });
});

test("a stream of which only the end was not told before the reset is told that alone", async () => {
  const { card, first, second } = await pair();
  const { task, stream } = await begunStream(account.key, card, { node: first, pieces: 4 });
  await untilKept(first);
  holdEnds();
  first.commit(task, { completionTokens: 4 });
  await recordOf(task, tellers(first));
  vi.mocked(Reader.prototype.tell).mockRestore();
  const attaches = holdAttaches();
  await resetUnder(first);
  const { node, welcome } = await first.comeBack([first.holds(task, 4, { isOver: true, isEndSent: true })]);
  // Its pieces stay with it while its reader may come.
  expect(welcome.leases).toEqual([{ attemptId: task.attemptId, nextSeq: null }]);
  attaches.letThrough();
  expect(await node.next("resume")).toEqual({ type: "resume", attemptId: task.attemptId, nextSeq: 4 });
  node.ack(task);
  node.commit(task, { completionTokens: 4 });
  expect(await stream.end()).toEqual(wholeStream(storyOf(4), 4, [first]));
  await expectRecordedOnce(task, { first, second });
});

test("an answer whose pieces the node no longer has is continued by another at once", async () => {
  const { card, first, second } = await pair();
  const { task, stream } = await begunStream(account.key, card, { node: first, pieces: 2 });
  await untilKept(first);
  const attaches = holdAttaches();
  await resetUnder(first);
  const { node } = await first.comeBack([first.holds(task, 4, { firstSeq: 3 })]);
  attaches.letThrough();
  await node.next("resume");
  node.fail(task, { code: "lost_pieces" });
  await goOn(card, second, 2);
  expect(await stream.end()).toEqual(wholeStream(storyOf(3), 3, [first, second]));
});

test("a whole answer of which the node forgot what nobody has is begun anew by another", async () => {
  const { card, first, second } = await pair();
  const { task, asked } = await begunWhole(account.key, card, { node: first, pieces: 2 });
  await untilKept(first);
  const attaches = watchAttaches();
  await resetUnder(first);
  await attaches.untilSeen();
  const { welcome } = await first.comeBack([first.holds(task, 2, { firstSeq: 1 })]);
  expect(welcome.leases).toEqual([]);
  await goOn(card, second, 0);
  expect(await contentOf(await asked)).toEqual({ content: storyOf(1), nodes: [second.nodeId] });
});

test("an answer that storage had not heard of is continued by another at once, and its node is told to stop", async () => {
  const { card, first, second } = await pair();
  vi.spyOn(Outbox.prototype, "hold").mockReturnValue(undefined);
  const { task, stream } = await begunStream(account.key, card, { node: first, pieces: 2 });
  await resetUnder(first);
  const { welcome } = await first.comeBack([first.holds(task, 3)]);
  expect(welcome.leases).toEqual([]);
  await goOn(card, second, 2);
  expect(await stream.end()).toEqual(wholeStream(storyOf(3), 3, [first, second]));
  expect(await recordOf(task, tellers(first, second))).toMatchObject({
    state: "completed",
    completionTokens: 3,
    attempts: [
      { nodeId: first.nodeId, state: "lost", completionTokens: 2 },
      { nodeId: second.nodeId, state: "committed", completionTokens: 1 },
    ],
  });
});

test("a caller who leaves once its Worker is back is billed for what it has", async () => {
  const { card, first, second } = await pair();
  const { task, stream } = await begunStream(account.key, card, { node: first, pieces: 2 });
  await untilKept(first);
  const attaches = watchAttaches();
  await resetUnder(first);
  await attaches.untilSeen();
  await stream.leave();
  await expectCancelled(task, { first, second, completionTokens: 2 });
  const { welcome } = await first.comeBack([first.holds(task, 3)]);
  expect(welcome.leases).toEqual([]);
});

test("a caller who leaves before its Worker is back is billed for what the node says that it made", async () => {
  const { card, first, second } = await pair();
  const { task, stream } = await begunStream(account.key, card, { node: first, pieces: 2 });
  await untilKept(first);
  const attaches = holdAttaches();
  const cancels = vi.spyOn(NodeObject.prototype, "cancel");
  await resetUnder(first);
  await until(() => attaches.waiting() > 0 || undefined, "the Worker on its way");
  await stream.leave();
  await until(() => cancels.mock.calls.length > 0 || undefined, "the cancel");
  const { node, welcome } = await first.comeBack([first.holds(task, 3)]);
  expect(welcome.leases).toEqual([{ attemptId: task.attemptId, nextSeq: null }]);
  expect(await node.next("cancel")).toEqual({ type: "cancel", attemptId: task.attemptId });
  attaches.letThrough();
  node.commit(task, { finishReason: "cancelled", completionTokens: 3 });
  await expectCancelled(task, { first, second, completionTokens: 3 });
});

async function expectCancelled(
  task: TaskFrame,
  { first, second, completionTokens }: { first: FakeNode; second: FakeNode; completionTokens: number },
) {
  const record = await recordOf(task, tellers(first, second));
  expect(record).toMatchObject({ state: "cancelled", completionTokens });
  expect(record.attempts).toMatchObject([{ nodeId: first.nodeId, state: "rejected", completionTokens }]);
  expect(await endsOf(task, tellers(first, second))).toHaveLength(1);
  expect(second.waiting("task")).toBe(0);
}
