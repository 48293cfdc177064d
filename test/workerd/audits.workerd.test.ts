import { env, runInDurableObject, SELF } from "cloudflare:test";
import { afterEach, beforeAll, expect, test, vi } from "vitest";
import { z } from "zod";
import { evidenceSchema } from "../../core/commitment/evidence.ts";
import type { ModelCard } from "../../core/model/model-card.ts";
import { AuditObject } from "../../edge/objects/audit-object.ts";
import { caseDescriptionSchema } from "../../edge/trust/audit-work.ts";
import { countCalls } from "./call-counts.ts";
import { CheckableNode, type Conduct, honestIds, textOf } from "./checkable-node.ts";
import { ask, chat, dealer, listedCards, newInvite, newKey, nodeStub, pooled } from "./deployment.ts";
import { closeNodes } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";
import { reset } from "./reset.ts";
import { until } from "./until.ts";

standInForPostgres();
let nextCard: () => ModelCard;
let account: Awaited<ReturnType<typeof newKey>>;
beforeAll(async () => {
  nextCard = dealer(await listedCards(24, "chat", "verifiable"));
  account = await newKey();
});
afterEach(async () => {
  await closeNodes();
  vi.restoreAllMocks();
});

/** Nodes of one model, each of an operator of its own. */
async function network(card: ModelCard, ...conducts: Conduct[]): Promise<CheckableNode[]> {
  const nodes: CheckableNode[] = [];
  for (const conduct of conducts) nodes.push(new CheckableNode(await pooled(card, 64), conduct));
  return nodes;
}

const answerSchema = z.object({
  choices: z.tuple([z.object({ message: z.object({ content: z.string() }) })]),
  network: z.object({
    taskId: z.string(),
    nodes: z.array(z.string()),
    trust: z.string(),
    verdict: z.string(),
    evidence: evidenceSchema.optional(),
  }),
});

async function answerOf(response: Response) {
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${response.status}: ${text}`);
  const { choices, network: told } = answerSchema.parse(JSON.parse(text));
  return { content: choices[0].message.content, ...told };
}

async function codeOf(response: Response): Promise<string> {
  return z.object({ error: z.object({ code: z.string() }) }).parse(await response.json()).error.code;
}

/** What a node's object was told of it. */
function marksOf({ node }: CheckableNode) {
  return nodeStub(node)
    .verdicts()
    .then((marks) => marks ?? []);
}

function untilMark(node: CheckableNode, what: { type: string; outcome?: string; wasRight?: boolean }) {
  return until(
    async () =>
      (await marksOf(node)).find((mark) =>
        Object.entries(what).every(([key, value]) => Reflect.get(mark, key) === value),
      ),
    `a mark ${JSON.stringify(what)}`,
  );
}

function auditStub(taskId: string) {
  return env.AUDIT.get(env.AUDIT.idFromName(taskId));
}

/** How far the case of a node's answer is. */
async function stateOf(taskId: string, { node }: CheckableNode): Promise<string | undefined> {
  const described = await auditStub(taskId).describe(node.nodeId);
  return described === undefined ? undefined : caseDescriptionSchema.parse(JSON.parse(described)).state;
}

async function isKnown(taskId: string, node: CheckableNode): Promise<true | undefined> {
  return (await stateOf(taskId, node)) === undefined ? undefined : true;
}

test("an answer of a new node is checked by nodes of other operators, and counts for it", async () => {
  const card = nextCard();
  const nodes = await network(card, {}, {}, {}, {});
  const answer = await answerOf(await chat(account.key, card, "Hello"));
  expect(answer).toMatchObject({ trust: "sampled", verdict: "pending" });
  const maker = nodes.find(({ node }) => node.nodeId === answer.nodes[0]);
  if (maker === undefined) throw new Error("nobody answered");
  await untilMark(maker, { type: "verdict", outcome: "valid" });
  expect(maker.checks).toEqual([]);
  expect(nodes.flatMap(({ checks }) => checks).length).toBeGreaterThanOrEqual(2);
  // An answer may end by length where its own node's context does.
  expect(nodes.flatMap(({ checks }) => checks)[0]).toMatchObject({ contextTokens: 2_048 });
  // What is looked at was drawn after the commit: at least 16 positions, and the end.
  expect(nodes.flatMap(({ checks }) => checks)[0]?.positions.length).toBeGreaterThanOrEqual(17);
});

test("under single nothing is checked and nobody else is asked", async () => {
  const card = nextCard();
  const nodes = await network(card, {}, {});
  const answer = await answerOf(await chat(account.key, card, "Hello", { network: { trust: "single" } }));
  expect(answer).toMatchObject({ trust: "single", verdict: "unchecked" });
  expect(nodes.flatMap(({ checks }) => checks)).toEqual([]);
});

test("an answer that is chosen costs its router one call more, off the path; one that is not, none", async () => {
  const card = nextCard();
  await network(card, {});
  await answerOf(await chat(account.key, card, "Hello", { network: { trust: "single" } }));
  const opened = vi.spyOn(AuditObject.prototype, "open");
  for (const [trust, cases] of [
    ["single", 0],
    // A new node's answers are all chosen.
    ["sampled", 1],
  ] as const) {
    const counted = await countCalls();
    await answerOf(await chat(account.key, card, "Hello", { network: { trust } }));
    await until(() => (opened.mock.calls.length === cases ? true : undefined), "the case");
    counted.restore();
    expect(counted.calls["node.run"]).toBe(1);
    // A case asks the pool for a validator in its own time.
    expect(counted.calls["pool.claim"]).toBeLessThanOrEqual(1 + cases);
    expect(counted.calls["node.settle"]).toBeUndefined();
  }
});

test("a checked answer is valid once another operator's node has looked at it", async () => {
  const card = nextCard();
  await network(card, {}, {});
  const answer = await answerOf(await chat(account.key, card, "Hello", { network: { trust: "checked" } }));
  expect(answer).toMatchObject({ trust: "checked", verdict: "valid" });
});

test("a policy is named by the body, by the model's suffix or by a header", async () => {
  const card = nextCard();
  await network(card, {}, {});
  const suffixed = await answerOf(
    await chat(account.key, { ...card, name: `${card.name}:checked` } as ModelCard, "Hello"),
  );
  expect(suffixed.trust).toBe("checked");
  const response = await SELF.fetch("https://router.test/v1/chat/completions", {
    method: "POST",
    headers: {
      authorization: `Bearer ${account.key}`,
      "content-type": "application/json",
      "x-network-trust": "single",
    },
    body: JSON.stringify({ model: card.name, messages: [{ role: "user", content: "Hello" }] }),
  });
  expect((await answerOf(response)).trust).toBe("single");
});

test("a checked answer that fails its check is made anew by another node, unseen by its caller", async () => {
  const card = nextCard();
  const [cheat] = await network(card, { ids: () => Array.from({ length: 20 }, () => 4) }, {}, {}, {});
  if (cheat === undefined) throw new Error("no cheat");
  for (let request = 0; request < 40; request += 1) {
    const answer = await answerOf(
      // Each is a conversation of its own: the turns of one would all go to the node that had the first.
      await chat(account.key, card, `Hello ${request}`, { seed: request, network: { trust: "checked" } }),
    );
    expect(answer.content).toBe(textOf(honestIds({ seed: request })));
    expect(answer.verdict).toBe("valid");
    if (cheat.done.some(({ input }) => input.kind === "chat")) break;
  }
  expect(cheat.done.some(({ input }) => input.kind === "chat")).toBe(true);
  const failed = await untilMark(cheat, { type: "verdict", outcome: "invalid" });
  expect(failed).toMatchObject({ isGross: true, isShort: false });
});

test.each<[what: string, conduct: Conduct]>([
  ["commits to another answer", { commitment: "other" }],
  ["commits to nothing", { commitment: "none" }],
])("a node that %s fails its check", async (_what, conduct) => {
  const card = nextCard();
  const [cheat] = await network(card, conduct);
  if (cheat === undefined) throw new Error("no cheat");
  await answerOf(await chat(account.key, card, "Hello"));
  await network(card, {}, {}, {});
  await untilMark(cheat, { type: "verdict", outcome: "invalid" });
});

test("a checked answer is refused before any work where no other operator's node lives", async () => {
  const card = nextCard();
  const invite = await newInvite({ maxNodes: 2 });
  const nodes = [new CheckableNode(await pooled(card, 8, invite)), new CheckableNode(await pooled(card, 8, invite))];
  const response = await chat(account.key, card, "Hello", { network: { trust: "checked" } });
  expect(response.status).toBe(503);
  expect(await codeOf(response)).toBe("no_validator");
  expect(nodes.flatMap(({ done }) => done)).toEqual([]);
});

test("one validator's word against an answer counts for nothing", async () => {
  const card = nextCard();
  const [maker] = await network(card, {});
  if (maker === undefined) throw new Error("no node");
  const { taskId } = await answerOf(await chat(account.key, card, "Hello"));
  const [liar] = await network(card, { margin: () => 5 });
  await until(() => (liar?.checks.length === 1 ? true : undefined), "the lie");
  // Nobody else is there: the case waits for another operator's node.
  await until(async () => ((await stateOf(taskId, maker)) === "doubting" ? true : undefined), "the doubt");
  expect(await marksOf(maker)).toEqual([]);
  const honest = await network(card, {}, {});
  await untilMark(maker, { type: "verdict", outcome: "valid" });
  if (liar === undefined) throw new Error("no liar");
  await untilMark(liar, { type: "validation", wasRight: false });
  for (const validator of honest) await untilMark(validator, { type: "validation", wasRight: true });
});

test("a report that does not look where it was asked to is no word", async () => {
  const card = nextCard();
  const [maker] = await network(card, {});
  if (maker === undefined) throw new Error("no node");
  await answerOf(await chat(account.key, card, "Hello"));
  const [lazy] = await network(card, { isLazy: true });
  await until(() => (lazy?.checks.length === 1 ? true : undefined), "the lazy report");
  await network(card, {}, {});
  await untilMark(maker, { type: "verdict", outcome: "valid" });
});

test("a node whose answers fail is suspended: its socket closes, and it does not come back", async () => {
  const card = nextCard();
  const [cheat] = await network(card, { ids: () => Array.from({ length: 20 }, () => 4) });
  if (cheat === undefined) throw new Error("no cheat");
  for (let request = 0; request < 6; request += 1) await answerOf(await chat(account.key, card, "Hello"));
  await network(card, {}, {}, {}, {});
  expect(await cheat.node.next("reject")).toMatchObject({ code: "suspended" });
  await cheat.node.closed();
  expect((await nodeStub(cheat.node).describe())?.state).toBe("suspended");
});

test("a case goes on where its object is reset", async () => {
  const card = nextCard();
  const [maker] = await network(card, {});
  if (maker === undefined) throw new Error("no node");
  const { taskId } = await answerOf(await chat(account.key, card, "Hello"));
  await until(() => isKnown(taskId, maker), "the case");
  await reset(auditStub(taskId));
  await network(card, {}, {}, {});
  await runInDurableObject(auditStub(taskId), (audit) => audit.alarm());
  await untilMark(maker, { type: "verdict", outcome: "valid" });
  expect((await marksOf(maker)).filter(({ type }) => type === "verdict")).toHaveLength(1);
});

test("evidence holds all that is needed to check the answer again", async () => {
  const card = nextCard();
  const [node] = await network(card, {});
  const answer = await answerOf(await chat(account.key, card, "Hello", { seed: 5, network: { evidence: true } }));
  expect(answer.evidence).toMatchObject({
    version: 1,
    taskId: answer.taskId,
    attempts: [{ nodeId: node?.node.nodeId, publicKey: node?.node.identity.key.publicKey, answerTokens: 20 }],
    input: { kind: "chat", sampling: { seed: 5 } },
    promptIds: [7, 8, 9],
    tokenIds: honestIds({ seed: 5 }),
    text: answer.content,
    finishReason: "stop",
  });
});

test("an answer longer than what was asked for is broken protocol, and another node goes on", async () => {
  const card = nextCard();
  const fields = { max_tokens: 20, network: { trust: "single" } };
  const [chatterbox] = await network(card, { ids: () => Array.from({ length: 21 }, () => 4) });
  const asked = chat(account.key, card, "Hello", fields);
  await until(() => (chatterbox?.done.length === 1 ? true : undefined), "the task");
  const [other] = await network(card, {});
  expect((await answerOf(await asked)).nodes).toEqual([other?.node.nodeId]);
});

test("an operator reads what was said of a node's answers, and has them looked at once more", async () => {
  const card = nextCard();
  const invite = await newInvite();
  const cheat = new CheckableNode(await pooled(card, 8, invite), { commitment: "none" });
  const { taskId } = await answerOf(await chat(account.key, card, "Hello"));
  await network(card, {}, {}, {});
  await untilMark(cheat, { type: "verdict", outcome: "invalid" });
  const admin = "admin-key-of-the-workerd-tests";
  const path = `/v1/nodes/${cheat.node.nodeId}`;
  const listed = await (await ask(`${path}/verdicts`, { key: admin })).json();
  expect(listed).toMatchObject({
    data: [{ task: taskId, outcome: "invalid", checks: [{ validator: 1 }, { validator: 2 }, { validator: 3 }] }],
  });
  const appealed = await ask(`${path}/appeals`, { key: admin, body: { task: taskId } });
  expect(appealed.status).toBe(202);
  await network(card, {});
  await until(async () => ((await stateOf(taskId, cheat)) === "upheld" ? true : undefined), "the appeal's end");
  expect((await ask(`${path}/verdicts`, { key: account.key })).status).toBe(404);
});
