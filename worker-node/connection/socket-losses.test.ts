import { expect, test } from "vitest";
import { SocketLosses } from "./socket-losses.ts";

const hourMs = 3_600_000;

test("a node that lost no socket says so", () => {
  expect(new SocketLosses().told(0)).toEqual({ lastHour: 0, last: null });
});

test("losses count for an hour, and the last is remembered for good", () => {
  const losses = new SocketLosses();
  losses.add("first", 0);
  losses.add("second", 1_000);
  const last = { atMs: 1_000, reason: "second" };
  expect(losses.told(hourMs - 1)).toEqual({ lastHour: 2, last });
  expect(losses.told(hourMs)).toEqual({ lastHour: 1, last });
  expect(losses.told(10 * hourMs)).toEqual({ lastHour: 0, last });
});

test("what is remembered has a bound", () => {
  const losses = new SocketLosses();
  for (let atMs = 0; atMs < 5_000; atMs += 1) losses.add("cut", atMs);
  expect(losses.told(5_000)).toEqual({ lastHour: 1_200, last: { atMs: 4_999, reason: "cut" } });
});
