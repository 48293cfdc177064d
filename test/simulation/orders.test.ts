import { expect, test } from "vitest";
import { Dice } from "./dice.ts";
import { drawAccounts, drawOrder } from "./orders.ts";
import { answerEnd } from "./toy-answer.ts";

test("the load is of answers of 50 pieces and more in the mean, those that are vectors counted as none", () => {
  const dice = new Dice(1);
  const accounts = drawAccounts(dice, 100);
  const count = 20_000;
  let pieces = 0;
  for (let number = 1; number <= count; number += 1) {
    const { input } = drawOrder(dice, { number, accounts });
    if (input.kind === "chat") pieces += answerEnd(number, input.sampling.maxTokens ?? 0).tokens;
  }
  // Callers who leave take some of them away.
  expect(pieces / count).toBeGreaterThan(55);
});
