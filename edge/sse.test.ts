import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { sseDone, sseEvent, sseResponse, sseWhole } from "./sse.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A stream whose producer is this test: `write` writes, `finish` and `fail` end it. */
function opened() {
  const { promise, resolve: finish, reject: fail } = Promise.withResolvers<void>();
  let write: (events: string) => void = () => {};
  const onGone = vi.fn();
  const response = sseResponse(
    (given) => {
      write = given;
      return promise;
    },
    { onGone, headers: { "x-request-id": "req_1" } },
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
  return { response, reader, write, finish, fail, onGone };
}

test("each event is one line of JSON, and the last is [DONE]", () => {
  expect(sseEvent(JSON.stringify({ text: "two\nlines" }))).toBe('data: {"text":"two\\nlines"}\n\n');
  expect(sseDone).toBe("data: [DONE]\n\n");
});

test("events written at once are one piece of bytes, and pieces stay apart", async () => {
  const { reader, write, finish } = opened();
  write(sseEvent("1") + sseEvent("2"));
  write(sseEvent("3") + sseDone);
  finish();
  expect(await reader.read()).toBe("data: 1\n\ndata: 2\n\n");
  expect(await reader.read()).toBe("data: 3\n\ndata: [DONE]\n\n");
  expect(await reader.read()).toBeUndefined();
});

test.each([
  [
    "a stream",
    () => {
      const { response, finish } = opened();
      finish();
      return response;
    },
  ],
  ["a whole one", () => sseWhole(sseDone, { "x-request-id": "req_1" })],
])("the headers of %s make every proxy pass it on as it comes", (_which, respond) => {
  expect(Object.fromEntries(respond().headers)).toEqual({
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
    "x-request-id": "req_1",
  });
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

test("no silence is longer than half a second, whenever the last event came", async () => {
  const { reader, write, finish } = opened();
  await vi.advanceTimersByTimeAsync(499);
  write(sseEvent("1"));
  expect(await reader.read()).toBe("data: 1\n\n");
  const read = reader.read();
  await vi.advanceTimersByTimeAsync(500);
  expect(await read).toBe(": keep-alive\n\n");
  finish();
});

test("while events come there are no comments, and one timer serves them all", async () => {
  const setTimer = vi.spyOn(globalThis, "setTimeout");
  const { reader, write, finish } = opened();
  for (let number = 0; number < 100; number += 1) {
    await vi.advanceTimersByTimeAsync(20);
    write(sseEvent(String(number)));
  }
  finish();
  const read: string[] = [];
  for (let text = await reader.read(); text !== undefined; text = await reader.read()) read.push(text);
  expect(read.join("")).toBe(Array.from({ length: 100 }, (_, number) => sseEvent(String(number))).join(""));
  // 2 s of events: a timer for each half second, not one for each event.
  expect(setTimer.mock.calls.length).toBeLessThan(10);
});

test("a reader that goes away is told of once, and nothing runs on", async () => {
  const { reader, onGone } = opened();
  expect(onGone).not.toHaveBeenCalled();
  await reader.cancel();
  expect(onGone).toHaveBeenCalledOnce();
  expect(vi.getTimerCount()).toBe(0);
});

test("what is written after the reader went away is dropped, not an error of the writer", async () => {
  const { reader, write, finish } = opened();
  await reader.cancel();
  expect(() => write(sseEvent("1"))).not.toThrow();
  finish();
  await vi.advanceTimersByTimeAsync(0);
  expect(vi.getTimerCount()).toBe(0);
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

test("nothing to write is nothing sent, and breaks nothing", async () => {
  const { reader, write, finish } = opened();
  write("");
  write(sseDone);
  finish();
  expect(await reader.read()).toBe(sseDone);
  expect(await reader.read()).toBeUndefined();
});
