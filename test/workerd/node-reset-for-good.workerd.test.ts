import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { newAttemptId, newTaskId } from "../../core/ids.ts";
import type { ModelCard } from "../../core/model/model-card.ts";
import type { HeldAttempt } from "../../core/wire/node-frame.ts";
import type { TaskFrame } from "../../core/wire/router-frame.ts";
import { wholeStream } from "./chat-stream.ts";
import { contentOf, dealer, listedCards, newKey, nodeStub, pooled, ringAlarm } from "./deployment.ts";
import { closeNodes, type FakeNode } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";
import { endsOf, recordOf, untilKept } from "./record.ts";
import { reset } from "./reset.ts";
import { begunStream, begunWhole, storyIds, storyOf, tell } from "./story.ts";
import { until } from "./until.ts";

// How long is waited for who does not come back, short enough for a test to wait.
vi.mock("../../core/limits.ts", async (original) => {
  const { limits } = await original<typeof import("../../core/limits.ts")>();
  return { limits: { ...limits, attachedGraceMs: 500, reattachMs: 500, leaseGraceMs: 1_500 } };
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
  nextCard = dealer(await listedCards(12));
  account = await newKey();
});

const tellers = (...nodes: FakeNode[]) => ({ nodes, accountId: account.accountId });

async function resetUnder(node: FakeNode): Promise<void> {
  await untilKept(node);
  await reset(nodeStub(node));
  await node.closed();
}

test.each([
  ["a stream", true],
  ["a whole answer", false],
])("%s whose node does not come back after the reset is continued by another", async (_what, isStream) => {
  const card = nextCard();
  const [first, second] = [await pooled(card, 1), await pooled(card, 0)];
  const begun = isStream
    ? await begunStream(account.key, card, { node: first, pieces: 2 })
    : await begunWhole(account.key, card, { node: first, pieces: 2 });
  await resetUnder(first);
  second.pull(card.fileSha256, 1);
  const again = await second.next("task");
  // What nobody has of a whole answer is lost with its node.
  const has = isStream ? 2 : 0;
  expect(again.continues ?? []).toEqual(storyIds(has));
  second.ack(again);
  tell(second, again, { from: has, to: 4, seq: 0 });
  second.commit(again, { completionTokens: 4 - has });
  if ("stream" in begun) expect(await begun.stream.end()).toEqual(wholeStream(storyOf(4), 4, [first, second]));
  else expect(await contentOf(await begun.asked)).toEqual({ content: storyOf(4), nodes: [second.nodeId] });
  expect(await recordOf(begun.task, tellers(first, second))).toMatchObject({
    state: "completed",
    completionTokens: 4,
    attempts: [
      { nodeId: first.nodeId, state: "lost", completionTokens: has },
      { nodeId: second.nodeId, state: "committed", completionTokens: 4 - has },
    ],
  });
});

const sampling = {
  ...{ temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0 },
  ...{ seed: 1, stop: [], maxTokens: null },
};

/** A task whose Worker is this test, and is gone after the reset: two pieces of its answer were told. */
async function orphaned(): Promise<{ node: FakeNode; task: TaskFrame }> {
  const card = nextCard();
  const node = await pooled(card, 1);
  const run = nodeStub(node).run({
    taskId: newTaskId(),
    attemptId: newAttemptId(),
    accountId: account.accountId,
    keyId: account.id,
    modelName: card.name,
    model: card.fileSha256,
    input: { kind: "chat", messages: [{ role: "user", content: "Tell me a story" }], sampling },
    continues: [],
    isWhole: true,
    createdAtMs: Date.now(),
    priorAttempts: [],
  });
  const isBroken = run.then(
    () => false,
    () => true,
  );
  const task = await node.next("task");
  node.ack(task);
  tell(node, task, { from: 0, to: 2 });
  await node.untilHeard();
  await resetUnder(node);
  expect(await isBroken).toBe(true);
  return { node, task };
}

test("an answer that nobody comes back for has failed, its node is told to stop, and its tokens stand in the attempt", async () => {
  const { node: before, task } = await orphaned();
  const { node, welcome } = await before.comeBack([before.holds(task, 3)]);
  expect(welcome.leases).toEqual([{ attemptId: task.attemptId, nextSeq: null }]);
  expect(await node.next("cancel")).toEqual({ type: "cancel", attemptId: task.attemptId });
  node.ack(task);
  node.commit(task, { finishReason: "cancelled", completionTokens: 3 });
  await expectFailed(task, { node, completionTokens: 3 });
  expect(node.waiting("resume")).toBe(0);
});

test("an answer that its node ended, but not before the reset, was nobody's either", async () => {
  const { node: before, task } = await orphaned();
  const { node } = await before.comeBack([before.holds(task, 3, { isOver: true })]);
  await node.next("cancel");
  node.ack(task);
  node.commit(task, { completionTokens: 3 });
  await expectFailed(task, { node, completionTokens: 3 });
});

test("an answer whose node does not come back either has failed, once the node's time is over", async () => {
  const { node, task } = await orphaned();
  // Nobody else wakes the object. An alarm that rang as the reset came is rung again by the platform.
  await until(async () => (await ringAlarm(nodeStub(node))) || undefined, "the alarm");
  await expectFailed(task, { node, completionTokens: 0 });
  const { welcome } = await node.comeBack([node.holds(task, 3)]);
  expect(welcome.leases).toEqual([]);
});

test("an answer whose end was sent before the reset is completed, though nobody comes back for it", async () => {
  const { node: before, task } = await orphaned();
  const held: Partial<HeldAttempt> = { isOver: true, isEndSent: true };
  const { node, welcome } = await before.comeBack([before.holds(task, 2, held)]);
  expect(welcome.leases).toEqual([{ attemptId: task.attemptId, nextSeq: null }]);
  expect(await node.next("resume")).toEqual({ type: "resume", attemptId: task.attemptId, nextSeq: 2 });
  node.ack(task);
  node.commit(task, { completionTokens: 2 });
  expect(await recordOf(task, tellers(node))).toMatchObject({
    state: "completed",
    finishReason: "stop",
    errorCode: null,
    promptTokens: 3,
    completionTokens: 2,
    attempts: [{ nodeId: node.nodeId, state: "committed", completionTokens: 2 }],
  });
  expect(await endsOf(task, tellers(node))).toHaveLength(1);
});

async function expectFailed(
  task: TaskFrame,
  { node, completionTokens }: { node: FakeNode; completionTokens: number },
): Promise<void> {
  expect(await recordOf(task, tellers(node))).toMatchObject({
    state: "failed",
    finishReason: null,
    errorCode: "stream_broken",
    promptTokens: 0,
    completionTokens: 0,
    attempts: [{ nodeId: node.nodeId, completionTokens }],
  });
  await untilKept(node, 0);
  expect(await endsOf(task, tellers(node))).toHaveLength(1);
}
