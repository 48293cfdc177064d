import { afterEach, beforeAll, expect, test, vi } from "vitest";
import type { ModelCard } from "../../core/model/model-card.ts";
import { CheckableNode, type Conduct, honestIds, textOf } from "./checkable-node.ts";
import { ask, dealer, listedCards, newInvite, newKey, nodeStub, pooled } from "./deployment.ts";
import { closeNodes } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";
import { until } from "./until.ts";

standInForPostgres();
let nextCard: () => ModelCard;
let key: string;
beforeAll(async () => {
  nextCard = dealer(await listedCards(16, "chat", "verifiable"));
  ({ key } = await newKey());
});
afterEach(async () => {
  await closeNodes();
  vi.restoreAllMocks();
});

const wrong = Array.from({ length: 20 }, () => 4);

/** One node that answers, and validators that only check: they have no room until it has answered. */
async function answeredBy(card: ModelCard, maker: Conduct, ...validators: Conduct[]): Promise<CheckableNode> {
  const node = new CheckableNode(await pooled(card, 8), maker);
  for (const conduct of validators) {
    const { node: other } = new CheckableNode(await pooled(card, 0), conduct);
    until(() => (node.done.length > 0 ? true : undefined), "the answer").then(
      () => other.isOpen && other.pull(card.fileSha256, 8),
      () => undefined,
    );
  }
  return node;
}

const apis: [path: string, body: (model: string) => object, rejected: RegExp, end: RegExp][] = [
  [
    "/v1/chat/completions",
    (model) => ({ model, messages: [{ role: "user", content: "Hello" }], seed: 7, stream: true }),
    /data: \{"error":.*"code":"answer_rejected"/,
    /"finish_reason":"stop".*"verdict":"valid"[\s\S]*\[DONE\]/,
  ],
  [
    "/v1/completions",
    (model) => ({ model, prompt: "Hello", max_tokens: 50, stream: true }),
    /data: \{"error":.*"code":"answer_rejected"/,
    /"finish_reason":"stop".*"verdict":"valid"[\s\S]*\[DONE\]/,
  ],
  [
    "/v1/responses",
    (model) => ({ model, input: "Hello", stream: true }),
    /event: error\ndata: .*"code":"answer_rejected"/,
    /event: response.completed\ndata: .*"verdict":"valid"/,
  ],
  [
    "/v1/messages",
    (model) => ({ model, max_tokens: 50, messages: [{ role: "user", content: "Hello" }], stream: true }),
    /event: error\ndata: .*"type":"api_error","message":"The answer of task task_[0-9a-z]+ failed its check/,
    /event: message_delta\ndata: .*"verdict":"valid"[\s\S]*event: message_stop/,
  ],
];

test.each(apis)(
  "%s streams text at once, and its end when another operator's node has checked it",
  async (path, body, _, end) => {
    const card = nextCard();
    await answeredBy(card, {}, {});
    const text = await (await ask(path, { key, body: body(`${card.name}:checked`) })).text();
    expect(text).toMatch(end);
    expect(text).not.toContain("answer_");
  },
);

test.each(apis)(
  "%s ends a stream that fails its check with an error that names its task",
  async (path, body, rejected, end) => {
    const card = nextCard();
    await answeredBy(card, { ids: () => wrong }, {}, {});
    const text = await (await ask(path, { key, body: body(`${card.name}:checked`) })).text();
    expect(text).toContain("<4>");
    expect(text).toMatch(rejected);
    expect(text).toMatch(/task_[0-9a-z]{26}/);
    expect(text).not.toMatch(end);
  },
);

test("a whole answer whose only other nodes fail too is refused by name", async () => {
  const card = nextCard();
  await answeredBy(card, { ids: () => wrong }, { ids: () => wrong }, { ids: () => wrong });
  const body = { model: `${card.name}:checked`, messages: [{ role: "user", content: "Hello" }] };
  const response = await ask("/v1/chat/completions", { key, body });
  expect(response.status).toBe(502);
  expect(await response.json()).toMatchObject({ error: { code: "answer_rejected" } });
});

test("validators that disagree leave a checked answer unchecked, and it is not given", async () => {
  const card = nextCard();
  await answeredBy(card, {}, { margin: () => 5 });
  const body = { model: `${card.name}:checked`, messages: [{ role: "user", content: "Hello" }] };
  const response = await ask("/v1/chat/completions", { key, body });
  expect(response.status).toBe(503);
  expect(await response.json()).toMatchObject({ error: { code: "answer_unchecked" } });
}, 60_000);

test("nodes of one operator never check each other", async () => {
  const card = nextCard();
  const invite = await newInvite({ maxNodes: 2 });
  const own = [new CheckableNode(await pooled(card, 8, invite)), new CheckableNode(await pooled(card, 8, invite))];
  const body = { model: card.name, seed: 3, messages: [{ role: "user", content: "Hello" }] };
  const answer = await (await ask("/v1/chat/completions", { key, body })).text();
  expect(answer).toContain(textOf(honestIds({ seed: 3 })));
  const other = new CheckableNode(await pooled(card, 8));
  await until(() => (other.checks.length > 0 ? true : undefined), "the check");
  expect(own.flatMap(({ checks }) => checks)).toEqual([]);
});

test("a suspended node is told so at its hello, and is let in again once an admin has lifted it", async () => {
  const card = nextCard();
  const maker = await answeredBy(card, { ids: () => wrong });
  const body = { model: card.name, messages: [{ role: "user", content: "Hello" }] };
  for (let request = 0; request < 3; request += 1) await (await ask("/v1/chat/completions", { key, body })).text();
  for (let validator = 0; validator < 3; validator += 1) new CheckableNode(await pooled(card, 8));
  expect(await maker.node.next("reject")).toMatchObject({ code: "suspended" });
  await maker.node.closed();
  const again = await maker.node.comeBack([]).catch(() => "refused");
  expect(again).toBe("refused");
  const admin = "admin-key-of-the-workerd-tests";
  const lifted = await ask(`/v1/admin/suspensions/${maker.node.nodeId}`, { key: admin, method: "DELETE" });
  expect(lifted.status).toBe(200);
  expect((await nodeStub(maker.node).describe())?.state).toBe("offline");
  expect((await ask(`/v1/admin/suspensions/${maker.node.nodeId}`, { key, method: "DELETE" })).status).toBe(401);
}, 60_000);
