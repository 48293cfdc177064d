import { afterEach, beforeAll, expect, test, vi } from "vitest";
import { z } from "zod";
import type { ModelCard } from "../../core/model/model-card.ts";
import type { TaskFrame } from "../../core/wire/router-frame.ts";
import { CheckableNode, type Conduct, honestIds, textOf } from "./checkable-node.ts";
import { chat, dealer, listedCards, newKey, nodeStub, pooled } from "./deployment.ts";
import { closeNodes } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";
import { until } from "./until.ts";

standInForPostgres();
let nextCard: () => ModelCard;
let key: string;
beforeAll(async () => {
  nextCard = dealer(await listedCards(8, "chat", "verifiable"));
  ({ key } = await newKey());
});
afterEach(async () => {
  await closeNodes();
  vi.restoreAllMocks();
});

const breaksAfter = 10;
const seed = 7;
const honest = honestIds({ seed });
const forged = honest.map((id) => id + 1);

const answerSchema = z.object({
  choices: z.tuple([z.object({ message: z.object({ content: z.string() }) })]),
  network: z.object({ nodes: z.array(z.string()) }),
});

/** One answer of two nodes, the first of which breaks off in the middle of it; then three validators come. */
async function answerOfTwo(first: Conduct, second: Conduct) {
  const card = nextCard();
  const begins = new CheckableNode(await pooled(card, 1), { ...first, breaksAfter });
  const ends = new CheckableNode(await pooled(card, 0), second);
  until(() => (begins.done.length > 0 ? true : undefined), "the beginning").then(
    () => ends.node.pull(card.fileSha256, 1),
    () => undefined,
  );
  const { choices, network } = answerSchema.parse(await (await chat(key, card, "Hello", { seed })).json());
  expect(network.nodes).toEqual([begins.node.nodeId, ends.node.nodeId]);
  const validators: CheckableNode[] = [];
  for (let count = 0; count < 3; count += 1) validators.push(new CheckableNode(await pooled(card, 8)));
  return { begins, ends, validators, text: choices[0].message.content };
}

async function outcomesOf({ node }: CheckableNode): Promise<string[]> {
  const marks = (await nodeStub(node).verdicts()) ?? [];
  return marks.flatMap((mark) => (mark.type === "verdict" ? [mark.outcome] : []));
}

function untilOutcome(node: CheckableNode): Promise<string> {
  return until(async () => (await outcomesOf(node))[0], "a verdict");
}

const forge = { ids: (_: TaskFrame) => forged };

test("an answer that one honest node began and another ended is checked as one and counts for both", async () => {
  const { begins, ends, validators, text } = await answerOfTwo({}, {});
  expect(text).toBe(textOf(honest));
  expect(await untilOutcome(begins)).toBe("valid");
  expect(await untilOutcome(ends)).toBe("valid");
  expect(validators.flatMap(({ checks }) => checks)[0]).toMatchObject({ tokenIds: honest, isOfSeveral: true });
});

test("who forged the beginning of an answer has failed; who went on from it honestly has not", async () => {
  const { begins, ends, text } = await answerOfTwo(forge, {});
  expect(text).toBe(textOf([...forged.slice(0, breaksAfter), ...honest.slice(breaksAfter)]));
  expect(await untilOutcome(begins)).toBe("invalid");
  expect(await outcomesOf(ends)).toEqual([]);
});

test("who forged the end of an answer has failed; who began it honestly has not", async () => {
  const { begins, ends, text } = await answerOfTwo({}, forge);
  expect(text).toBe(textOf([...honest.slice(0, breaksAfter), ...forged.slice(breaksAfter)]));
  expect(await untilOutcome(ends)).toBe("invalid");
  expect(await outcomesOf(begins)).toEqual([]);
});
