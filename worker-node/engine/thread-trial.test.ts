import { expect, test } from "vitest";
import { tryThreads } from "./thread-trial.ts";

/** A machine whose speed at a number of threads is given. */
function machine(speeds: Record<number, number>) {
  const set: number[] = [];
  return {
    set,
    setThreads: (threads: number) => void set.push(threads),
    measureTokensPerSecond: async () => speeds[set.at(-1) ?? 0] ?? Number.NaN,
  };
}

test("threads that help are kept", async () => {
  const { set, ...ways } = machine({ 1: 10, 4: 30 });
  expect(await tryThreads({ threads: 4, ...ways })).toEqual({ threads: 4, tokensPerSecond: 30, warning: undefined });
  expect(set.at(-1)).toBe(4);
});

test("threads slower than one are given up with a warning that names both speeds", async () => {
  const { set, ...ways } = machine({ 1: 10, 4: 0.5 });
  const trial = await tryThreads({ threads: 4, ...ways });
  expect(trial).toMatchObject({ threads: 1, tokensPerSecond: 10 });
  expect(trial.warning).toMatch(/4 threads gave 0\.5 .* one thread 10\.0/);
  expect(set.at(-1)).toBe(1);
});

test("one thread is measured once and compared with nothing", async () => {
  const { set, ...ways } = machine({ 1: 7 });
  expect(await tryThreads({ threads: 1, ...ways })).toEqual({ threads: 1, tokensPerSecond: 7, warning: undefined });
  expect(set).toEqual([1]);
});
