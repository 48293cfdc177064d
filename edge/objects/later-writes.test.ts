import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LaterWrites } from "./later-writes.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Writes by their names, as they are made; `|` ends a round. */
function writer() {
  const made: string[] = [];
  const writes = new LaterWrites(() => made.push("|"));
  const add = (name: string) => writes.add(() => made.push(name));
  return { made, writes, add };
}

test("a first write is made at the end of the turn, not within it", () => {
  const { made, add } = writer();
  add("a");
  expect(made).toEqual([]);
  vi.advanceTimersByTime(0);
  expect(made).toEqual(["a", "|"]);
});

test("writes that come close together are made together, in order, 20 ms after those before", () => {
  const { made, add } = writer();
  add("a");
  vi.advanceTimersByTime(0);
  for (const name of ["b", "c", "d"]) {
    add(name);
    vi.advanceTimersByTime(5);
  }
  expect(made).toEqual(["a", "|"]);
  vi.advanceTimersByTime(5);
  expect(made).toEqual(["a", "|", "b", "c", "d", "|"]);
});

test("after a rest a write is made at once again", () => {
  const { made, add } = writer();
  add("a");
  vi.advanceTimersByTime(1_000);
  add("b");
  vi.advanceTimersByTime(0);
  expect(made).toEqual(["a", "|", "b", "|"]);
});

test("a write that throws is told of, and the others and their round are made", () => {
  const problem = vi.spyOn(console, "error").mockReturnValue(undefined);
  const { made, writes, add } = writer();
  add("a");
  writes.add(() => {
    throw new Error("the disk is full");
  });
  add("b");
  vi.advanceTimersByTime(0);
  expect(made).toEqual(["a", "b", "|"]);
  expect(problem).toHaveBeenCalledExactlyOnceWith(expect.any(String), { error: "Error: the disk is full" });
});

test("a write that makes another leaves it to the next round", () => {
  const { made, writes } = writer();
  writes.add(() => {
    made.push("a");
    writes.add(() => made.push("b"));
  });
  vi.advanceTimersByTime(0);
  expect(made).toEqual(["a", "|"]);
  vi.advanceTimersByTime(20);
  expect(made).toEqual(["a", "|", "b", "|"]);
});

test("nothing to write asks for no timer", () => {
  const { add } = writer();
  expect(vi.getTimerCount()).toBe(0);
  add("a");
  vi.advanceTimersByTime(20);
  expect(vi.getTimerCount()).toBe(0);
});

test("a clock that is set back does not put off a write", () => {
  const { made, add } = writer();
  add("a");
  vi.advanceTimersByTime(0);
  vi.setSystemTime(Date.now() - 4_000);
  add("b");
  vi.advanceTimersByTime(20);
  expect(made).toEqual(["a", "|", "b", "|"]);
});
