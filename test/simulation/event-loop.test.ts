import { expect, test } from "vitest";
import { seededRandom } from "../../core/testing/seeded-random.ts";
import { EventLoop } from "./event-loop.ts";

test("events run in the order of their times, and of being asked for at one time", () => {
  const loop = new EventLoop(1_000);
  const told: string[] = [];
  loop.after(5, () => told.push("second"));
  loop.after(3, () => told.push("first"));
  loop.after(5, () => told.push("third"));
  loop.runUntil(2_000);
  expect(told).toEqual(["first", "second", "third"]);
  expect(loop.nowMs).toBe(2_000);
  expect(loop.steps).toBe(3);
});

test("an event that was asked for when its time was far comes before one asked for later at the same time", () => {
  const loop = new EventLoop(0);
  const told: string[] = [];
  loop.after(10_000, () => told.push("far"));
  loop.after(9_000, () => loop.after(1_000, () => told.push("near")));
  loop.runUntil(10_000);
  expect(told).toEqual(["far", "near"]);
});

test("an event asked for now runs now, after those that are there", () => {
  const loop = new EventLoop(0);
  const told: string[] = [];
  loop.after(1, () => loop.after(0, () => told.push(`asked at ${loop.nowMs}`)));
  loop.after(1, () => told.push("there"));
  loop.runUntil(1);
  expect(told).toEqual(["there", "asked at 1"]);
});

test("an event that is cancelled does not run, and one after the end waits for the next call", () => {
  const loop = new EventLoop(0);
  const told: string[] = [];
  loop.cancel(loop.after(2, () => told.push("near")));
  loop.cancel(loop.after(20_000, () => told.push("far")));
  loop.after(30_000, () => told.push("later"));
  loop.runUntil(29_999);
  expect(told).toEqual([]);
  loop.runUntil(30_000);
  expect(told).toEqual(["later"]);
});

test("whatever is asked for, nothing runs early, late or twice", () => {
  const loop = new EventLoop(500);
  const random = seededRandom(4);
  let asked = 0;
  let ran = 0;
  let lastMs = 0;
  const ask = () => {
    if (asked === 3_000) return;
    asked += 1;
    const delayMs = Math.floor(random() * (random() < 0.3 ? 20_000 : 50));
    const dueMs = loop.nowMs + delayMs;
    loop.after(delayMs, () => {
      ran += 1;
      expect(loop.nowMs).toBe(dueMs);
      expect(loop.nowMs).toBeGreaterThanOrEqual(lastMs);
      lastMs = loop.nowMs;
      ask();
      if (random() < 0.4) ask();
    });
  };
  for (let index = 0; index < 20; index += 1) ask();
  loop.runUntil(1_000_000_000);
  expect(ran).toBe(asked);
  expect(asked).toBe(3_000);
});
