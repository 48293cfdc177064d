import { expect, test } from "vitest";
import { attemptIdSchema, modelHashSchema } from "../../core/ids.ts";
import { Credits } from "./credits.ts";

const chat = modelHashSchema.parse("a".repeat(64));
const embedding = modelHashSchema.parse("b".repeat(64));
const foreign = modelHashSchema.parse("c".repeat(64));
const attempt = (number: number) => attemptIdSchema.parse(`attempt_${String(number).padStart(4, "0")}`);

const fresh = () => new Credits([chat, embedding], []);

test("a fresh socket has no credit", () => {
  expect(fresh().take(chat, attempt(1))).toBe(false);
});

test("as many tasks are sent as were granted, and not one more", () => {
  const credits = fresh();
  credits.grant(chat, 2);
  expect([1, 2, 3].map((number) => credits.take(chat, attempt(number)))).toEqual([true, true, false]);
});

test("a pull counts all tasks ever, those already sent included", () => {
  const credits = fresh();
  credits.grant(chat, 1);
  credits.take(chat, attempt(1));
  credits.grant(chat, 2);
  expect([2, 3].map((number) => credits.take(chat, attempt(number)))).toEqual([true, false]);
});

test.each<[guarantee: string, total: number]>([
  ["a pull that comes twice counts once", 3],
  ["a pull that says less than one before changes nothing", 1],
])("%s", (_guarantee, total) => {
  const credits = fresh();
  credits.grant(chat, 3);
  credits.grant(chat, total);
  expect(credits.offer(chat)).toEqual({ free: 3, taken: [] });
});

test("models share no credit", () => {
  const credits = fresh();
  credits.grant(chat, 1);
  expect(credits.take(embedding, attempt(1))).toBe(false);
  expect(credits.take(chat, attempt(1))).toBe(true);
});

test("a pull for a model that the node does not hold means nothing", () => {
  const credits = fresh();
  credits.grant(foreign, 5);
  expect(credits.take(foreign, attempt(1))).toBe(false);
  expect(credits.offer(foreign)).toEqual({ free: 0, taken: [] });
  expect(credits.totals()).toEqual([
    [0, 0],
    [0, 0],
  ]);
});

test("each attempt that arrived is told to the pool once", () => {
  const credits = fresh();
  credits.grant(chat, 3);
  credits.take(chat, attempt(1));
  credits.take(chat, attempt(2));
  expect(credits.offer(chat)).toEqual({ free: 1, taken: [attempt(1), attempt(2)] });
  credits.take(chat, attempt(3));
  expect(credits.offer(chat)).toEqual({ free: 0, taken: [attempt(3)] });
});

test("credits are the same after a sleep", () => {
  const before = fresh();
  before.grant(chat, 5);
  before.grant(embedding, 2);
  for (const number of [1, 2, 3]) before.take(chat, attempt(number));
  const after = new Credits([chat, embedding], before.totals());
  expect(after.totals()).toEqual([
    [5, 3],
    [2, 0],
  ]);
  expect(after.offer(chat).free).toBe(2);
  expect(after.offer(embedding).free).toBe(2);
});
