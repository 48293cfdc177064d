import { env } from "cloudflare:test";
import { afterEach, expect, test } from "vitest";
import { answerHead } from "../../core/commitment/answer-chain.ts";
import { signCommitment } from "../../core/commitment/sign-commitment.ts";
import { type AccountId, newAttemptId, newTaskId, type TaskId } from "../../core/ids.ts";
import type { ModelCard } from "../../core/model/model-card.ts";
import { planCase } from "../../core/validation/plan-case.ts";
import type { AuditOrder } from "../../edge/trust/audit-order.ts";
import { secretDice } from "../../edge/trust/secret-dice.ts";
import { CheckableNode, honestIds, textOf } from "./checkable-node.ts";
import { newCard, newInvite, nodeStub, pooled } from "./deployment.ts";
import { closeNodes, type FakeNode } from "./fake-node.ts";
import { standInForPostgres } from "./fake-postgres.ts";
import { until } from "./until.ts";

standInForPostgres();
afterEach(closeNodes);

/** A task whose case the deployment's secret has tested by an altered copy. */
async function probedTask(): Promise<TaskId> {
  for (;;) {
    const taskId = newTaskId();
    const { wantsProbe, wantsSecond } = planCase(await secretDice(env, `plan ${taskId}`));
    if (wantsProbe && !wantsSecond) return taskId;
  }
}

/** An honest answer of this node, as its router hands it over. */
async function answered(
  node: FakeNode,
  { card, operator }: { card: ModelCard; operator: AccountId },
): Promise<AuditOrder> {
  const [taskId, attemptId, seed] = [await probedTask(), newAttemptId(), 9];
  const tokenIds = honestIds({ seed });
  const head = await answerHead({ taskId, model: card.fileSha256 }, tokenIds);
  const claim = { taskId, attemptId, model: card.fileSha256, promptTokens: 3, answerTokens: tokenIds.length };
  const { key } = node.identity;
  const signature = await signCommitment({ ...claim, finishReason: "stop", head }, key.privateKey);
  const sampling = {
    temperature: 0,
    topP: 1,
    frequencyPenalty: 0,
    presencePenalty: 0,
    seed,
    stop: [],
    maxTokens: null,
  };
  return {
    ...{ taskId, card, shards: 1, tokenIds, text: textOf(tokenIds), vectors: [], finishReason: "stop" },
    input: { kind: "chat", messages: [{ role: "user", content: "Hello" }], sampling },
    parts: [{ attemptId, nodeId: node.nodeId, operator, publicKey: key.publicKey, promptTokens: 3, answerTokens: 20 }],
    ...{
      stopSequence: null,
      contextTokens: card.contextTokens,
      commitment: { head, signature },
      chosenWith: 1,
      suspicions: [],
      isAwaited: false,
    },
  };
}

test("a validator that finds an altered copy good is marked wrong, and one that reads it is marked right", async () => {
  const card = newCard({ decoding: "verifiable" });
  const invite = await newInvite();
  const { node } = new CheckableNode(await pooled(card, 0, invite));
  const order = await answered(node, { card, operator: invite.accountId });
  await env.AUDIT.get(env.AUDIT.idFromName(order.taskId)).open(order);
  const isCopy = (at: CheckableNode) => at.checks.some(({ of }) => of.sampling.seed !== 9);
  // Two honest words settle it; one that never reads gets the copy, and two who do say what it is.
  const readers = [new CheckableNode(await pooled(card, 8)), new CheckableNode(await pooled(card, 8))];
  await until(() => (readers.every(({ checks }) => checks.length > 0) ? true : undefined), "the words");
  const lazy = new CheckableNode(await pooled(card, 8), { margin: () => 0 });
  await until(() => (isCopy(lazy) ? true : undefined), "the copy");
  const others = [new CheckableNode(await pooled(card, 8)), new CheckableNode(await pooled(card, 8))];
  const markOf = (at: CheckableNode) =>
    until(async () => (await nodeStub(at.node).verdicts())?.find(({ type }) => type === "validation"), "a mark");
  expect(await markOf(lazy)).toMatchObject({ wasRight: false, isProbe: true });
  for (const reader of others) expect(await markOf(reader)).toMatchObject({ wasRight: true, isProbe: true });
  // Of what it was, its validator is not told.
  expect(lazy.checks[0]).toMatchObject({ tokenIds: order.tokenIds, text: order.text });
}, 60_000);
