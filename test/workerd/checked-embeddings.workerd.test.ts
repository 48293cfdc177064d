import { afterEach, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import type { ModelCard } from "../../core/model/model-card.ts";
import { CheckableNode } from "./checkable-node.ts";
import { ask, dealer, listedCards, newKey, pooled } from "./deployment.ts";
import { closeNodes } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";

standInForPostgres();
let nextCard: () => ModelCard;
let key: string;
beforeAll(async () => {
  nextCard = dealer(await listedCards(4, "embedding", "verifiable"));
  ({ key } = await newKey());
});
afterEach(closeNodes);

const answerSchema = z.object({
  data: z.array(z.object({ embedding: z.array(z.number()) })),
  network: z.object({ trust: z.string(), verdict: z.string(), nodes: z.array(z.string()) }),
});

function embed(card: ModelCard, trust: string): Promise<Response> {
  return ask("/v1/embeddings", { key, body: { model: card.name, input: ["a", "b"], network: { trust } } });
}

test("checked vectors are made anew by another operator's node and compared", async () => {
  const card = nextCard();
  for (let node = 0; node < 3; node += 1) new CheckableNode(await pooled(card, 8));
  expect(answerSchema.parse(await (await embed(card, "checked")).json())).toMatchObject({
    data: [{ embedding: [1, 0] }, { embedding: [1, 0] }],
    network: { trust: "checked", verdict: "valid" },
  });
});

test("vectors that others do not make are rejected, and another node makes them", async () => {
  const card = nextCard();
  const cheat = new CheckableNode(await pooled(card, 8), { vector: [0, 1] });
  for (let node = 0; node < 3; node += 1) new CheckableNode(await pooled(card, 8));
  for (let request = 0; request < 40 && !cheat.done.some(({ input }) => input.kind === "embedding"); request += 1) {
    const { data, network } = answerSchema.parse(await (await embed(card, "checked")).json());
    expect(data[0]?.embedding).toEqual([1, 0]);
    expect(network.verdict).toBe("valid");
  }
});
