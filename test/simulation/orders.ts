import type { AccountId } from "../../core/ids.ts";
import type { TaskInput } from "../../core/wire/task-input.ts";
import type { Order } from "./client.ts";
import type { Dice } from "./dice.ts";
import { toyAccountId, toyKeyId, toyTaskId } from "./toy-answer.ts";

const sampling = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, seed: 1, stop: [] };
const messages = [{ role: "user" as const, content: "tell me" }];
const texts = Array.from({ length: 12 }, (_, index) => `text ${index}`);

/** Accounts of a run, with their weights: most weigh 1. */
export function drawAccounts(dice: Dice, count: number): { accountId: AccountId; weight: number }[] {
  return Array.from({ length: count }, (_, index) => ({
    accountId: toyAccountId(index + 1),
    weight: dice.isChance(0.2) ? dice.whole(2, 5) : 1,
  }));
}

/**
 * What one caller sends. Answers of text have 67 tokens in the mean, a piece each; one request in ten is for a set of
 * vectors, one in five of the others is not streamed, one in eight callers goes away, most of them on the way. That leaves
 * some 55 pieces a request.
 */
export function drawOrder(
  dice: Dice,
  { number, accounts }: { number: number; accounts: readonly { accountId: AccountId; weight: number }[] },
): Order {
  const account = dice.one(accounts);
  if (account === undefined) throw new Error("there are no accounts");
  const isEmbedding = dice.isChance(0.1);
  const maxTokens = dice.isChance(0.1) ? dice.whole(120, 400) : dice.whole(20, 130);
  const input: TaskInput = isEmbedding
    ? { kind: "embedding", texts: texts.slice(0, dice.whole(1, texts.length)) }
    : { kind: "chat", messages, sampling: { ...sampling, maxTokens } };
  return {
    taskId: toyTaskId(number),
    accountId: account.accountId,
    keyId: toyKeyId(1),
    weight: account.weight,
    input,
    conversation: !isEmbedding && dice.isChance(0.5) ? `${account.accountId}/${dice.whole(1, 40)}` : null,
    isWhole: isEmbedding || dice.isChance(0.2),
    leavesAfterMs: dice.isChance(0.125) ? dice.whole(0, 4_000) : null,
  };
}

/**
 * When each of `count` requests comes, milliseconds from the beginning, in order: half of them spread evenly, half in
 * bursts of up to `burst` within a second, which is where queues come from.
 */
export function drawArrivals(
  dice: Dice,
  { count, spanMs, burst }: { count: number; spanMs: number; burst: number },
): number[] {
  const times: number[] = [];
  while (times.length < count / 2) times.push(dice.whole(0, spanMs));
  while (times.length < count) {
    const atMs = dice.whole(0, spanMs);
    const size = Math.min(count - times.length, dice.whole(1, burst));
    for (let index = 0; index < size; index += 1) times.push(Math.min(spanMs, atMs + dice.whole(0, 1_000)));
  }
  return times.toSorted((left, right) => left - right);
}
