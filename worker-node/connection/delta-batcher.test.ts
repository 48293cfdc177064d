import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type AttemptId, attemptIdSchema } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import { deltaItemSchema } from "../../core/wire/node-frame.ts";
import { DeltaBatcher, type Gathered } from "./delta-batcher.ts";
import type { Piece } from "./held-attempts.ts";

const attempt = (number: number): AttemptId => attemptIdSchema.parse(`attempt_${String(number).padStart(4, "0")}`);
const [a, b] = [attempt(1), attempt(2)];
let gathered: Gathered[];
let frames: Piece[][];
let batcher: DeltaBatcher;

beforeEach(() => {
  vi.useFakeTimers();
  gathered = [];
  frames = [];
  batcher = new DeltaBatcher((each) => {
    gathered.push(each);
    frames.push(each.pieces);
  });
});
afterEach(() => {
  // Whatever is handed on is what the wire takes.
  for (const piece of frames.flat()) deltaItemSchema.parse({ ...piece, seq: 0 });
  vi.useRealTimers();
});

describe("text", () => {
  test("an answer's first piece goes out at once", () => {
    batcher.addText(a, { text: "Paris", tokenIds: [1] });
    expect(frames).toEqual([[{ attemptId: a, text: "Paris", tokenIds: [1] }]]);
  });

  test("further pieces wait for the tick and go in one frame", () => {
    batcher.addText(a, { text: "P", tokenIds: [1] });
    batcher.addText(a, { text: "a", tokenIds: [2] });
    batcher.addText(a, { text: "ris", tokenIds: [3, 4] });
    vi.advanceTimersByTime(19);
    expect(frames).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(frames.slice(1)).toEqual([[{ attemptId: a, text: "aris", tokenIds: [2, 3, 4] }]]);
  });

  test("all answers of a tick go in one frame", () => {
    batcher.addText(a, { text: "a0", tokenIds: [] });
    batcher.addText(b, { text: "b0", tokenIds: [] });
    batcher.addText(a, { text: "a1", tokenIds: [] });
    batcher.addText(b, { text: "b1", tokenIds: [] });
    vi.advanceTimersByTime(20);
    expect(frames.slice(2)).toEqual([
      [
        { attemptId: a, text: "a1" },
        { attemptId: b, text: "b1" },
      ],
    ]);
  });

  test("a first piece goes alone, and what others wait with keeps its tick", () => {
    batcher.addText(a, { text: "a0", tokenIds: [] });
    batcher.addText(a, { text: "a1", tokenIds: [] });
    vi.advanceTimersByTime(12);
    batcher.addText(b, { text: "b0", tokenIds: [] });
    expect(frames.at(-1)).toEqual([{ attemptId: b, text: "b0" }]);
    batcher.addText(b, { text: "b1", tokenIds: [] });
    vi.advanceTimersByTime(7);
    expect(frames).toHaveLength(2);
    vi.advanceTimersByTime(1);
    expect(frames.slice(2)).toEqual([
      [
        { attemptId: a, text: "a1" },
        { attemptId: b, text: "b1" },
      ],
    ]);
  });

  test("one that was not there yet at the last tick goes at once, and the next of it waits again", () => {
    batcher.addText(a, { text: "a0", tokenIds: [] });
    batcher.addText(b, { text: "b0", tokenIds: [] });
    batcher.addText(b, { text: "b1", tokenIds: [] });
    vi.advanceTimersByTime(20);
    batcher.addText(a, { text: "a1", tokenIds: [] });
    expect(frames.slice(2)).toEqual([[{ attemptId: b, text: "b1" }], [{ attemptId: a, text: "a1" }]]);
    batcher.addText(a, { text: "a2", tokenIds: [] });
    batcher.addText(b, { text: "b2", tokenIds: [] });
    expect(frames).toHaveLength(4);
    vi.advanceTimersByTime(20);
    expect(frames).toHaveLength(5);
  });

  test.each([
    ["a first piece", () => batcher.addText(b, { text: "b0", tokenIds: [] })],
    ["an end", () => batcher.end(b)],
  ])("%s that comes when the tick is over holds up nobody else", (what, act) => {
    if (what === "an end") batcher.addText(b, { text: "b0", tokenIds: [] });
    batcher.addText(a, { text: "a0", tokenIds: [] });
    vi.advanceTimersByTime(25);
    batcher.addText(a, { text: "a1", tokenIds: [] });
    vi.advanceTimersByTime(23);
    act();
    const sent = frames.length;
    batcher.addText(a, { text: "a2", tokenIds: [] });
    vi.advanceTimersByTime(1);
    expect(frames.slice(sent)).toEqual([[{ attemptId: a, text: "a2" }]]);
  });

  test.each([5, 20, 25, 40])("one answer alone, a token every %i ms, is never held longer than a tick", (paceMs) => {
    const saidAtMs: number[] = [];
    const heldMs: number[] = [];
    const startMs = performance.now();
    batcher = new DeltaBatcher(({ pieces }) => {
      for (const token of pieces.flatMap(({ tokenIds }) => tokenIds ?? [])) {
        heldMs.push(performance.now() - startMs - (saidAtMs[token] ?? 0));
      }
    });
    for (let token = 0; token < 50; token += 1) {
      saidAtMs.push(performance.now() - startMs);
      batcher.addText(a, { text: "x", tokenIds: [token] });
      vi.advanceTimersByTime(paceMs);
    }
    expect(Math.max(...heldMs)).toBeLessThanOrEqual(paceMs < 20 ? 20 : 1);
  });

  test("a token that is half a character is counted, without text", () => {
    batcher.addText(a, { text: "", tokenIds: [9] });
    expect(frames).toEqual([[{ attemptId: a, tokenIds: [9] }]]);
  });

  test("a piece of nothing is none", () => {
    batcher.addText(a, { text: "", tokenIds: [] });
    batcher.end(a);
    expect(frames).toEqual([]);
  });

  test("no token is lost, whatever the ticks", () => {
    for (let token = 0; token < 200; token += 1) {
      batcher.addText(a, { text: `${token} `, tokenIds: [token] });
      vi.advanceTimersByTime(token % 7);
    }
    batcher.end(a);
    const items = frames.flat();
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
    expect(frames).toEqual([[{ attemptId: a, vectors: [{ index: 3, float32: "AACAPwAAAMA=" }] }]]);
  });

  test("of a part of a larger buffer are that part alone", () => {
    batcher.addVector(a, 0, Float32Array.of(7, 1, -2, 7).subarray(1, 3));
    batcher.end(a);
    expect(frames[0]?.[0]?.vectors).toEqual([{ index: 0, float32: "AACAPwAAAMA=" }]);
  });

  test("are split into pieces of which a node can keep some to send again, and none is lost", () => {
    const vector = new Float32Array(4_096);
    for (let index = 0; index < 100; index += 1) batcher.addVector(a, index, vector);
    batcher.end(a);
    expect(frames.length).toBeGreaterThan(2);
    for (const frame of frames) expect(JSON.stringify(frame).length).toBeLessThan(limits.replayBytes / 2);
    const items = frames.flat();
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
    expect(frames.at(-1)).toEqual([{ attemptId: a, text: "b", tokenIds: [2] }]);
  });

  test("leaves nothing behind, and may come twice", () => {
    batcher.addText(a, { text: "a", tokenIds: [1] });
    batcher.end(a);
    batcher.end(a);
    vi.advanceTimersByTime(1_000);
    expect(frames).toHaveLength(1);
  });
});

describe("an ack", () => {
  const ack = { attemptId: a, promptTokens: 7 };

  test("travels with the first piece", () => {
    batcher.addAck(a, 7);
    vi.advanceTimersByTime(19);
    expect(gathered).toEqual([]);
    batcher.addText(a, { text: "Paris", tokenIds: [1] });
    expect(gathered).toEqual([{ acks: [ack], pieces: [{ attemptId: a, text: "Paris", tokenIds: [1] }] }]);
    vi.advanceTimersByTime(1_000);
    expect(gathered).toHaveLength(1);
  });

  test("goes alone where no piece comes within 20 ms, and once", () => {
    batcher.addAck(a, 7);
    vi.advanceTimersByTime(20);
    expect(gathered).toEqual([{ acks: [ack], pieces: [] }]);
    batcher.addText(a, { text: "Paris", tokenIds: [1] });
    expect(gathered.slice(1)).toEqual([{ acks: [], pieces: [{ attemptId: a, text: "Paris", tokenIds: [1] }] }]);
  });

  test("goes with the end of an answer without pieces", () => {
    batcher.addAck(a, 7);
    batcher.end(a);
    expect(gathered).toEqual([{ acks: [ack], pieces: [] }]);
  });

  test("waits no longer than 20 ms, however many answers are under way", () => {
    for (let number = 10; number < 100; number += 1) batcher.addText(attempt(number), { text: "x", tokenIds: [] });
    batcher.addText(attempt(10), { text: "y", tokenIds: [] });
    gathered.length = 0;
    batcher.addAck(a, 7);
    vi.advanceTimersByTime(20);
    expect(gathered).toEqual([{ acks: [ack], pieces: [{ attemptId: attempt(10), text: "y" }] }]);
  });
});

test("a check's report goes out at once, whole, and behind its ack", () => {
  const report = { findings: [{ position: 0, margin: 0, rank: 0 }], isTextOfTokens: true, isEndRight: true };
  batcher.addText(b, { text: "b0", tokenIds: [] });
  batcher.addAck(a, 7);
  batcher.addReport(a, report);
  expect(gathered.at(-1)).toEqual({ acks: [{ attemptId: a, promptTokens: 7 }], pieces: [{ attemptId: a, report }] });
  batcher.end(a);
  expect(gathered).toHaveLength(2);
});
