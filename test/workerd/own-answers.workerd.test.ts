import { afterEach, beforeAll, expect, test } from "vitest";
import type { ModelCard } from "../../core/model/model-card.ts";
import { CheckableNode, type Conduct } from "./checkable-node.ts";
import { chat, dealer, listedCards, newKey, nodeStub, pooled } from "./deployment.ts";
import { closeNodes } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";
import { until } from "./until.ts";

standInForPostgres();
let nextCard: () => ModelCard;
let account: Awaited<ReturnType<typeof newKey>>;
beforeAll(async () => {
  nextCard = dealer(await listedCards(2));
  account = await newKey();
});
afterEach(closeNodes);

/**
 * An answer of a node before a server that draws by its own sampler; of the others, each another operator's, `readers`
 * say that they can check it, one says that it cannot, and one says nothing.
 */
async function network(card: ModelCard, { maker = {}, readers }: { maker?: Conduct; readers: number }) {
  const answering = new CheckableNode(await pooled({ ...card, checks: "none" }, 64), maker);
  const asked = await chat(account.key, card, "Hello", { temperature: 0 });
  expect(await asked.json()).toMatchObject({ network: { verdict: "pending" } });
  const blind = [
    new CheckableNode(await pooled({ ...card, checks: "none" }, 64)),
    new CheckableNode(await pooled(card, 64)),
  ];
  const reading: CheckableNode[] = [];
  for (let count = 0; count < readers; count += 1) {
    reading.push(new CheckableNode(await pooled({ ...card, checks: "plain" }, 64)));
  }
  const verdict = () =>
    until(async () => (await nodeStub(answering.node).verdicts())?.find(({ type }) => type === "verdict"), "a verdict");
  return { blind, reading, verdict };
}

test("at temperature 0 it is checked by those whose server tells a prompt's probabilities, and by nobody else", async () => {
  const { verdict, blind, reading } = await network(nextCard(), { readers: 3 });
  expect(await verdict()).toMatchObject({ outcome: "valid" });
  expect(reading.flatMap(({ checks }) => checks).length).toBeGreaterThan(0);
  expect(blind.flatMap(({ checks }) => checks)).toEqual([]);
});

test("who says something else there is found by them", async () => {
  const { verdict } = await network(nextCard(), { maker: { ids: () => [1, 2, 3, 4, 5, 6, 7, 8] }, readers: 4 });
  expect(await verdict()).toMatchObject({ outcome: "invalid" });
});
