import { expect, test } from "vitest";
import { secretDice, secretNumber } from "./secret-dice.ts";

const env = { ADMIN_KEY: "an admin key of these tests" };

test("one text gives one number in every isolate, and another secret another", async () => {
  const number = await secretNumber(env, "task_1");
  expect(await secretNumber({ ...env }, "task_1")).toBe(number);
  expect(await secretNumber(env, "task_2")).not.toBe(number);
  expect(await secretNumber({ ...env, AUDIT_SECRET: "another" }, "task_1")).not.toBe(number);
  expect(await secretNumber({ ADMIN_KEY: "another admin key" }, "task_1")).not.toBe(number);
});

test("numbers are spread evenly from 0 up to 1", async () => {
  const numbers = await Promise.all(Array.from({ length: 2_000 }, (_, index) => secretNumber(env, `task ${index}`)));
  const dice = await secretDice(env, "positions");
  for (const each of [numbers, Array.from({ length: 2_000 }, dice)]) {
    const mean = each.reduce((sum, value) => sum + value, 0) / each.length;
    // Three standard deviations of a mean of 2,000.
    expect(Math.abs(mean - 0.5)).toBeLessThan((3 * Math.sqrt(1 / 12)) / Math.sqrt(2_000));
    expect(Math.min(...each)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...each)).toBeLessThan(1);
  }
});

test("dice for one purpose fall alike each time, and otherwise for another", async () => {
  const draw = async (purpose: string) => Array.from({ length: 8 }, await secretDice(env, purpose));
  expect(await draw("one")).toEqual(await draw("one"));
  expect(await draw("one")).not.toEqual(await draw("two"));
});
