import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type AttemptId, attemptIdSchema } from "../../core/ids.ts";
import { type DeltaItem, deltaFrameSchema } from "../../core/wire/node-frame.ts";
import { DeltaBatcher } from "./delta-batcher.ts";

const attempt = (number: number): AttemptId => attemptIdSchema.parse(`attempt_${String(number).padStart(4, "0")}`);
const [a, b] = [attempt(1), attempt(2)];
let frames: DeltaItem[][];
let batcher: DeltaBatcher;

beforeEach(() => {
  vi.useFakeTimers();
  frames = [];
  batcher = new DeltaBatcher((items) => frames.push(items));
});
afterEach(() => {
  // Whatever was sent is what the wire takes.
  for (const items of frames) deltaFrameSchema.parse({ type: "delta", items });
  vi.useRealTimers();
});

describe("text", () => {
  test("an answer's first piece goes out at once", () => {
    batcher.addText(a, { text: "Paris", tokenIds: [1] });
    expect(frames).toEqual([[{ attemptId: a, seq: 0, text: "Paris", tokenIds: [1] }]]);
  });

  test("further pieces wait for the tick and go in one frame", () => {
    batcher.addText(a, { text: "P", tokenIds: [1] });
    batcher.addText(a, { text: "a", tokenIds: [2] });
    batcher.addText(a, { text: "ris", tokenIds: [3, 4] });
    vi.advanceTimersByTime(19);
    expect(frames).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(frames.slice(1)).toEqual([[{ attemptId: a, seq: 1, text: "aris", tokenIds: [2, 3, 4] }]]);
  });

  test("all answers of a tick go in one frame", () => {
    batcher.addText(a, { text: "a0", tokenIds: [] });
    batcher.addText(b, { text: "b0", tokenIds: [] });
    batcher.addText(a, { text: "a1", tokenIds: [] });
    batcher.addText(b, { text: "b1", tokenIds: [] });
    vi.advanceTimersByTime(20);
    expect(frames.slice(2)).toEqual([
      [
        { attemptId: a, seq: 1, text: "a1" },
        { attemptId: b, seq: 1, text: "b1" },
      ],
    ]);
  });

  test("a first piece takes along what others wait with", () => {
    batcher.addText(a, { text: "a0", tokenIds: [] });
    batcher.addText(a, { text: "a1", tokenIds: [] });
    batcher.addText(b, { text: "b0", tokenIds: [] });
    expect(frames.at(-1)).toEqual([
      { attemptId: a, seq: 1, text: "a1" },
      { attemptId: b, seq: 0, text: "b0" },
    ]);
    vi.advanceTimersByTime(1_000);
    expect(frames).toHaveLength(2);
  });

  test("a token that is half a character is counted, without text", () => {
    batcher.addText(a, { text: "", tokenIds: [9] });
    expect(frames).toEqual([[{ attemptId: a, seq: 0, tokenIds: [9] }]]);
  });

  test("a piece of nothing sends nothing and takes no seq", () => {
    batcher.addText(a, { text: "", tokenIds: [] });
    batcher.end(a);
    expect(frames).toEqual([]);
  });

  test("seq counts without gaps and no token is lost, whatever the ticks", () => {
    for (let token = 0; token < 200; token += 1) {
      batcher.addText(a, { text: `${token} `, tokenIds: [token] });
      vi.advanceTimersByTime(token % 7);
    }
    batcher.end(a);
    const items = frames.flat();
    expect(items.map(({ seq }) => seq)).toEqual(items.map((_, index) => index));
    expect(items.flatMap(({ tokenIds }) => tokenIds ?? [])).toEqual(Array.from({ length: 200 }, (_, token) => token));
    expect(items.map(({ text }) => text ?? "").join("")).toHaveLength(200 + 10 + 90 * 2 + 100 * 3);
    expect(frames.length).toBeLessThan(50);
  });
});

describe("the tick grows with the answers under way", () => {
  test.each([
    [1, 20],
    [8, 20],
    [36, 60],
    [64, 100],
    [200, 100],
  ])("%i answers: %i ms", (answers, tickMs) => {
    for (let number = 1; number <= answers; number += 1) batcher.addText(attempt(number), { text: "x", tokenIds: [] });
    frames.length = 0;
    batcher.addText(a, { text: "y", tokenIds: [] });
    vi.advanceTimersByTime(tickMs - 1);
    expect(frames).toHaveLength(0);
    vi.advanceTimersByTime(1);
    expect(frames).toHaveLength(1);
  });
});

describe("vectors", () => {
  test("travel as little-endian float32 in base64", () => {
    batcher.addVector(a, 3, Float32Array.of(1, -2));
    batcher.end(a);
    expect(frames).toEqual([[{ attemptId: a, seq: 0, vectors: [{ index: 3, float32: "AACAPwAAAMA=" }] }]]);
  });

  test("of a part of a larger buffer are that part alone", () => {
    batcher.addVector(a, 0, Float32Array.of(7, 1, -2, 7).subarray(1, 3));
    batcher.end(a);
    expect(frames[0]?.[0]?.vectors).toEqual([{ index: 0, float32: "AACAPwAAAMA=" }]);
  });

  test("are split before a frame nears the wire's bound, and none is lost", () => {
    const vector = new Float32Array(4_096);
    for (let index = 0; index < 100; index += 1) batcher.addVector(a, index, vector);
    batcher.end(a);
    expect(frames.length).toBeGreaterThan(2);
    for (const frame of frames) expect(JSON.stringify(frame).length).toBeLessThan(1_000_000);
    const items = frames.flat();
    expect(items.map(({ seq }) => seq)).toEqual(items.map((_, index) => index));
    expect(items.flatMap(({ vectors }) => vectors?.map(({ index }) => index) ?? [])).toEqual(
      Array.from({ length: 100 }, (_, index) => index),
    );
  });

  test("wait for the tick when they are few", () => {
    batcher.addVector(a, 0, new Float32Array(4));
    expect(frames).toEqual([]);
    vi.advanceTimersByTime(20);
    expect(frames).toHaveLength(1);
  });
});

describe("the end", () => {
  test("sends what is left, before it returns", () => {
    batcher.addText(a, { text: "a", tokenIds: [1] });
    batcher.addText(a, { text: "b", tokenIds: [2] });
    batcher.end(a);
    expect(frames.at(-1)).toEqual([{ attemptId: a, seq: 1, text: "b", tokenIds: [2] }]);
  });

  test("leaves nothing behind, and may come twice", () => {
    batcher.addText(a, { text: "a", tokenIds: [1] });
    batcher.end(a);
    batcher.end(a);
    vi.advanceTimersByTime(1_000);
    expect(frames).toHaveLength(1);
  });

  test("of the socket drops everything: no frame follows", () => {
    batcher.addText(a, { text: "a", tokenIds: [1] });
    batcher.addText(a, { text: "b", tokenIds: [2] });
    batcher.clear();
    vi.advanceTimersByTime(1_000);
    batcher.end(a);
    expect(frames).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});
