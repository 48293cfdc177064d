import { expect, test } from "vitest";
import { SlotPool } from "./slot-pool.ts";

const slot = (name: string, cached: number[] = []) => ({ name, cachedTokens: () => cached });
const live = () => new AbortController().signal;

test("the slot that shares the longest beginning is lent", async () => {
  const pool = new SlotPool([slot("a", [1, 2]), slot("b", [1, 2, 3, 9]), slot("c", [1])]);
  expect((await pool.acquire([1, 2, 3, 4], live()))?.name).toBe("b");
});

test("of equal slots the one idle longest is lent", async () => {
  const [a, b] = [slot("a"), slot("b")];
  const pool = new SlotPool([a, b]);
  const first = await pool.acquire([1], live());
  const second = await pool.acquire([1], live());
  expect([first, second]).toEqual([a, b]);
  pool.release(b);
  pool.release(a);
  expect(await pool.acquire([1], live())).toBe(b);
});

test("a slot that is lent is not lent again until it comes back, and those who wait get it in order", async () => {
  const only = slot("only");
  const pool = new SlotPool([only]);
  await pool.acquire([], live());
  const served: string[] = [];
  const waiters = ["first", "second"].map(async (name) => {
    await pool.acquire([], live());
    served.push(name);
    pool.release(only);
  });
  expect(served).toEqual([]);
  pool.release(only);
  await Promise.all(waiters);
  expect(served).toEqual(["first", "second"]);
});

test("who gives up waiting gets nothing and leaves the slot to the next", async () => {
  const only = slot("only");
  const pool = new SlotPool([only]);
  await pool.acquire([], live());
  const impatient = new AbortController();
  const gone = pool.acquire([], impatient.signal);
  const next = pool.acquire([], live());
  impatient.abort();
  expect(await gone).toBeUndefined();
  pool.release(only);
  expect(await next).toBe(only);
});

test("an aborted signal takes no slot", async () => {
  const pool = new SlotPool([slot("a")]);
  expect(await pool.acquire([], AbortSignal.abort())).toBeUndefined();
  expect((await pool.acquire([], live()))?.name).toBe("a");
});
