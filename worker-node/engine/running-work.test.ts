import { expect, test } from "vitest";
import { RunningWork } from "./running-work.ts";

test("closing waits for all work, failed work too", async () => {
  const work = new RunningWork();
  const finish: (() => void)[] = [];
  const slow = work.track(() => new Promise<void>((resolve) => finish.push(resolve)));
  const failing = expect(work.track(() => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
  let closed = false;
  const closing = work.close().then(() => {
    closed = true;
  });
  await failing;
  expect(closed).toBe(false);
  for (const done of finish) done();
  await Promise.all([slow, closing]);
  expect(closed).toBe(true);
});

test("nothing starts after closing", async () => {
  const work = new RunningWork();
  await work.close();
  await expect(work.track(async () => "ran")).rejects.toThrow("disposed");
  expect(() => work.ensureOpen()).toThrow("disposed");
});
