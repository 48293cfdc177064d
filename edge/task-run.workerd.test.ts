import { env } from "cloudflare:test";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { keyIdSchema, newAccountId, randomText } from "../core/ids.ts";
import type { ModelCard } from "../core/model/model-card.ts";
import type { TaskFrame } from "../core/wire/router-frame.ts";
import { chat, dealer, listedCards, newCard, newKey, pooled } from "../test/workerd/deployment.ts";
import { closeNodes, type FakeNode } from "../test/workerd/fake-node.ts";
import { standInForPostgres } from "../test/workerd/fake-postgres.ts";
import { taskObjects } from "./task-objects.ts";
import { TaskRun } from "./task-run.ts";

standInForPostgres();
afterEach(async () => {
  await closeNodes();
  vi.restoreAllMocks();
});
// Nodes that break the protocol and readers that leave are logged, and there are some here.
beforeEach(() => {
  vi.spyOn(console, "warn").mockReturnValue(undefined);
});

let nextCard: () => ModelCard;
let key: string;
beforeAll(async () => {
  nextCard = dealer(await listedCards(8));
  key = (await newKey()).key;
});

/** A task for a model that nobody serves, whose caller has left or not. */
function runFor({ hasLeft }: { hasLeft: boolean }) {
  const card = newCard();
  const accountId = newAccountId();
  const nobody = { shards: 1, liveNodes: 0, slots: 0, freeSlots: 0, waiting: 0, atMs: 0, firstSeenAtMs: 0 };
  const model = { card, id: card.name, ...nobody };
  return new TaskRun({
    objects: taskObjects(env, { model, affinity: null }),
    principal: { accountId, keyId: keyIdSchema.parse(`key_${accountId}_${randomText(12)}`) },
    model,
    input: { kind: "embedding", texts: ["Hello"] },
    affinity: null,
    isWhole: true,
    signal: hasLeft ? AbortSignal.abort() : new AbortController().signal,
    waitUntil: () => {},
  });
}

test("a caller who left before the task began is not found a node", async () => {
  const run = runFor({ hasLeft: true });
  await expect(run.begin()).resolves.toBeUndefined();
  expect(await run.next()).toEqual([]);
});

test("a caller who stayed is told that there is none", async () => {
  await expect(runFor({ hasLeft: false }).begin()).rejects.toMatchObject({ code: "no_live_node" });
});

/** Two nodes of one model, of which only the first has room until the second pulls. */
async function pair(): Promise<{ card: ModelCard; first: FakeNode; second: FakeNode }> {
  const card = nextCard();
  return { card, first: await pooled(card, 1), second: await pooled(card, 0) };
}

/** A stream whose reader has seen the first node's two pieces, of the tokens 11 and 12. */
async function halfWay(card: ModelCard, first: FakeNode) {
  const asked = chat(key, card, "Hello", { stream: true, stream_options: { include_usage: true } });
  const task = await first.next("task");
  first.ack(task);
  first.delta(task, 0, { text: "never ", tokenIds: [11] });
  first.delta(task, 1, { text: "gonna ", tokenIds: [12] });
  const body = (await asked).body;
  if (body === null) throw new Error("the stream has no body");
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("gonna ")) text += (await reader.read()).value ?? "";
  const rest = async () => {
    for (let next = await reader.read(); !next.done; next = await reader.read()) text += next.value;
    return text;
  };
  return { task, rest };
}

/** The texts of a stream's chunks, joined. */
function textOf(stream: string): string {
  return [...stream.matchAll(/"content":("[^"]*")/g)].map(([, text]) => JSON.parse(text ?? '""')).join("");
}

describe("a stream whose node is lost in the middle", () => {
  test.each<[how: string, loss: (node: FakeNode, task: TaskFrame) => void]>([
    ["fails", (node, task) => node.fail(task, { code: "engine_error", message: "broken" })],
    ["skips a piece", (node, task) => node.delta(task, 3, { text: "wrong", tokenIds: [99] })],
    ["miscounts", (node, task) => node.commit(task, { completionTokens: 9 })],
    ["drains away", (node) => node.send({ type: "drained" })],
  ])("because it %s goes on at another node, and its reader sees one answer", async (_how, loss) => {
    const { card, first, second } = await pair();
    const { task, rest } = await halfWay(card, first);
    loss(first, task);
    second.pull(card.fileSha256, 1);
    const again = await second.next("task");
    expect(again).toEqual({ ...task, attemptId: again.attemptId, continues: [11, 12] });
    second.ack(again);
    second.delta(again, 0, { text: "give", tokenIds: [13] });
    second.commit(again, { completionTokens: 1 });
    const stream = await rest();
    expect(textOf(stream)).toBe("never gonna give");
    expect(stream).toContain(`"nodes":["${first.nodeId}","${second.nodeId}"]`);
    expect(stream).toContain('"usage":{"prompt_tokens":3,"completion_tokens":3,"total_tokens":6}');
    expect(stream.match(/"role":"assistant"/g)).toHaveLength(1);
    expect(stream).not.toContain('"error"');
    expect(stream.endsWith("data: [DONE]\n\n")).toBe(true);
  });
});
