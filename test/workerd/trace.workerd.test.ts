import { env } from "cloudflare:test";
import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { ModelCard } from "../../core/model/model-card.ts";
import { poolName } from "../../core/node-pool/pool-name.ts";
import { parseTrace, type TraceEntry } from "../../core/trace/trace.ts";
import { replayTrace } from "../simulation/replay-trace.ts";
import { ask, chat, contentOf, dealer, listedCards, newKey, nodeStub, pooled, refusalOf } from "./deployment.ts";
import { closeNodes, newIdentity } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";
import { untilKept } from "./record.ts";
import { reset } from "./reset.ts";
import { begunStream, storyOf, tell } from "./story.ts";

standInForPostgres();
// Objects that are reset are logged.
beforeEach(() => {
  vi.spyOn(console, "error").mockReturnValue(undefined);
  vi.spyOn(console, "warn").mockReturnValue(undefined);
});
afterEach(async () => {
  await closeNodes();
  vi.restoreAllMocks();
});

let nextCard: () => ModelCard;
let key: string;
beforeAll(async () => {
  nextCard = dealer(await listedCards(8));
  key = (await newKey()).key;
});

/** The trace of an object as the admin gets it. */
async function exported(object: "node" | "pool", name: string): Promise<string> {
  const query = new URLSearchParams({ object, name });
  const response = await ask(`/v1/admin/trace?${query}`, { key: env.ADMIN_KEY });
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/jsonl; charset=utf-8"]);
  // The platform warns of text() on what it does not take for text.
  return new TextDecoder().decode(await response.arrayBuffer());
}

const typesOf = (entries: readonly TraceEntry[]) => entries.map(({ input }) => input.type);
const sound = (entries: readonly TraceEntry[]) => ({ entries: entries.length, objects: 1, violation: undefined });

test("what a node's object and its pool were told of an answer, a failover and a cancel is exported and replayed", async () => {
  const card = nextCard();
  const [first, second] = [await pooled(card, 3), await pooled(card, 0)];
  const told = chat(key, card, "what only the node reads", { stop: ["until here"] });
  const task = await first.next("task");
  first.ack(task);
  first.delta(task, 0, { text: "what only the caller reads", tokenIds: [100] });
  first.commit(task, { completionTokens: 1, stopSequence: "until here" });
  expect((await contentOf(await told)).content).toBe("what only the caller reads");

  const broken = await begunStream(key, card, { node: first, pieces: 2 });
  first.fail(broken.task, { code: "engine_error", message: "broken" });
  second.pull(card.fileSha256, 1);
  const again = await second.next("task");
  second.ack(again);
  tell(second, again, { from: 2, to: 4, seq: 0 });
  second.commit(again, { completionTokens: 2 });
  expect((await broken.stream.end()).content).toBe(storyOf(4));

  const left = await begunStream(key, card, { node: first, pieces: 2 });
  await left.stream.leave();
  await first.next("cancel");
  first.commit(left.task, { finishReason: "cancelled", completionTokens: 2 });
  await first.untilHeard();

  const ofFirst = await exported("node", first.nodeId);
  const entries = parseTrace(ofFirst);
  const all = ["recover", "open", "ack", "delta", "commit", "fail", "cancel"];
  expect(typesOf(entries)).toEqual(expect.arrayContaining(all));
  expect(replayTrace(entries)).toEqual(sound(entries));
  const ofSecond = parseTrace(await exported("node", second.nodeId));
  expect(typesOf(ofSecond).filter((type) => type === "open")).toHaveLength(1);
  expect(replayTrace(ofSecond)).toEqual(sound(ofSecond));

  const ofPool = await exported("pool", poolName(card.fileSha256));
  const poolEntries = parseTrace(ofPool);
  expect(typesOf(poolEntries).filter((type) => type === "claim")).toHaveLength(4);
  expect(replayTrace(poolEntries)).toEqual(sound(poolEntries));
  for (const text of [ofFirst, ofPool]) expect(text).not.toMatch(/reads|until here/);
});

test("a node's object that was reset exports what it was told since, from the leases that storage gave back", async () => {
  const card = nextCard();
  const node = await pooled(card, 1);
  const { task, stream } = await begunStream(key, card, { node, pieces: 2 });
  await untilKept(node);
  await reset(nodeStub(node));
  const { node: back } = await node.comeBack([node.holds(task, 2)]);
  await stream.leave();
  await back.next("cancel");
  const entries = parseTrace(await exported("node", node.nodeId));
  expect(entries[0]?.input).toMatchObject({ type: "recover", open: [{ terms: { attemptId: task.attemptId } }] });
  expect(replayTrace(entries)).toEqual(sound(entries));
});

test("an object that nobody knows has an empty trace", async () => {
  expect(await exported("node", (await newIdentity()).nodeId)).toBe("");
});

test.each(["", "?object=node", "?object=node&name=what", "?object=pool&name=what", "?object=account&name=acct0001"])(
  "a trace of nothing that has one is refused with what to say: %s",
  async (query) => {
    const refusal = await refusalOf(await ask(`/v1/admin/trace${query}`, { key: env.ADMIN_KEY }));
    expect(refusal).toMatchObject({ status: 400, code: "invalid_value", param: "name" });
    expect(refusal.message).toContain("?object=node&name=node_");
  },
);
