import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type SseWriter, sseResponse } from "./sse.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A stream whose producer is this test: `writer` writes, `finish` and `fail` end it. */
function opened() {
  const { promise, resolve: finish, reject: fail } = Promise.withResolvers<void>();
  const { promise: writing, resolve: give } = Promise.withResolvers<SseWriter>();
  const onGone = vi.fn();
  const response = sseResponse(
    (writer) => {
      give(writer);
      return promise;
    },
    { onGone, headers: { "x-request-id": "req_1", "Content-Type": "text/plain" } },
  );
  const body = response.body;
  if (body === null) throw new Error("the stream has no body");
  const bytes = body.getReader();
  const reader = {
    /** The next piece as text; `undefined` at the end. */
    read: async () => {
      const { value } = await bytes.read();
      return value === undefined ? undefined : new TextDecoder().decode(value);
    },
    cancel: () => bytes.cancel(),
  };
  return { response, reader, writing, finish, fail, onGone };
}

test("each event is one line of JSON, and the last is [DONE]", async () => {
  const { reader, writing, finish } = opened();
  const writer = await writing;
  writer.data({ text: "two\nlines" });
  writer.data([1]);
  writer.done();
  finish();
  expect(await reader.read()).toBe('data: {"text":"two\\nlines"}\n\n');
  expect(await reader.read()).toBe("data: [1]\n\n");
  expect(await reader.read()).toBe("data: [DONE]\n\n");
  expect(await reader.read()).toBeUndefined();
});

test("the headers make every proxy pass it on as it comes", () => {
  const { response, finish } = opened();
  expect(Object.fromEntries(response.headers)).toEqual({
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
    "x-request-id": "req_1",
  });
  finish();
});

test("silence is filled with comments, every half second", async () => {
  const { reader, finish } = opened();
  for (let comment = 0; comment < 3; comment += 1) {
    const read = reader.read();
    await vi.advanceTimersByTimeAsync(500);
    expect(await read).toBe(": keep-alive\n\n");
  }
  finish();
});

test("while events come there are no comments", async () => {
  const { reader, writing, finish } = opened();
  const writer = await writing;
  for (let number = 0; number < 5; number += 1) {
    await vi.advanceTimersByTimeAsync(300);
    writer.data(number);
  }
  finish();
  const read: string[] = [];
  for (let text = await reader.read(); text !== undefined; text = await reader.read()) read.push(text);
  expect(read.join("")).toBe([0, 1, 2, 3, 4].map((number) => `data: ${number}\n\n`).join(""));
});

test("a reader that goes away is told of once, and nothing runs on", async () => {
  const { reader, onGone } = opened();
  expect(onGone).not.toHaveBeenCalled();
  await reader.cancel();
  expect(onGone).toHaveBeenCalledOnce();
  expect(vi.getTimerCount()).toBe(0);
});

test("what is written after the reader went away is dropped, not an error of the writer", async () => {
  const { reader, writing } = opened();
  const writer = await writing;
  await reader.cancel();
  expect(() => {
    writer.data("late");
    writer.done();
  }).not.toThrow();
});

test("a stream that ended leaves no timer", async () => {
  const { reader, finish, onGone } = opened();
  expect(vi.getTimerCount()).toBe(1);
  finish();
  expect(await reader.read()).toBeUndefined();
  await vi.advanceTimersByTimeAsync(0);
  expect(vi.getTimerCount()).toBe(0);
  expect(onGone).not.toHaveBeenCalled();
});

test("a producer that throws against its word breaks the stream, and leaves no timer", async () => {
  const { reader, fail } = opened();
  fail(new Error("a bug"));
  await expect(reader.read()).rejects.toThrow("a bug");
  await vi.advanceTimersByTimeAsync(0);
  expect(vi.getTimerCount()).toBe(0);
});
