import { expect, test } from "vitest";
import { Dice } from "./dice.ts";
import { drawFaults, faultShares } from "./faults.ts";

test("faults are as many as asked for, in order, within their times, and the same for the same seed", () => {
  const times = { count: 500, fromMs: 1_000, toMs: 90_000 };
  const faults = drawFaults(new Dice(3), times);
  expect(faults).toHaveLength(500);
  expect(faults.map(({ atMs }) => atMs)).toEqual(
    faults.map(({ atMs }) => atMs).toSorted((left, right) => left - right),
  );
  for (const { atMs, durationMs } of faults) {
    expect(atMs).toBeGreaterThanOrEqual(1_000);
    expect(atMs).toBeLessThanOrEqual(90_000);
    expect(durationMs).toBeGreaterThan(0);
  }
  expect(drawFaults(new Dice(3), times)).toEqual(faults);
  expect(drawFaults(new Dice(4), times)).not.toEqual(faults);
});

test("every kind of fault comes in a long run, and only those that are wanted where some are named", () => {
  const times = { count: 5_000, fromMs: 0, toMs: 1_000_000 };
  const kinds = new Set(drawFaults(new Dice(1), times).map(({ kind }) => kind));
  expect([...kinds].toSorted()).toEqual(faultShares.map(([kind]) => kind).toSorted());
  const some = drawFaults(new Dice(1), { ...times, only: ["socketCut", "nodeKilled"] }).map(({ kind }) => kind);
  expect([...new Set(some)].toSorted()).toEqual(["nodeKilled", "socketCut"]);
});
