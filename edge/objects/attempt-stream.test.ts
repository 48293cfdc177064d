import { describe, expect, test } from "vitest";
import type { AttemptEvent } from "../../core/lease/attempt-event.ts";
import { TellingReader } from "../telling-reader.ts";
import { encodeAttemptEvents } from "./attempt-stream.ts";

const events: AttemptEvent[] = [
  { type: "delta", seq: 0, text: "é€𝄞\n", tokenIds: [1, 2] },
  { type: "delta", seq: 1, vectors: [{ index: 0, float32: "AACAPw==" }] },
  { type: "committed", finishReason: "stop", promptTokens: 3, completionTokens: 2 },
];

function streamOf(chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

async function* readByTelling(stream: ReadableStream<Uint8Array>): AsyncGenerator<AttemptEvent[]> {
  const reader = new TellingReader(stream);
  for (;;) {
    const told = await reader.next();
    if (told === undefined) return;
    yield told;
  }
}

test("no events are no bytes", () => {
  expect(encodeAttemptEvents([])).toHaveLength(0);
});

describe("events that are written and read", () => {
  const bytes = encodeAttemptEvents(events);
  /** What each round brings. */
  async function roundsOf(chunks: readonly Uint8Array[]): Promise<AttemptEvent[][]> {
    const rounds: AttemptEvent[][] = [];
    for await (const round of readByTelling(streamOf(chunks))) rounds.push(round);
    return rounds;
  }

  test("events that went in together come out together", async () => {
    expect(await roundsOf([bytes])).toEqual([events]);
  });

  test("events of several pieces come out as they came in", async () => {
    const pieces = [encodeAttemptEvents(events.slice(0, 1)), encodeAttemptEvents(events.slice(1))];
    expect(await roundsOf(pieces)).toEqual([events.slice(0, 1), events.slice(1)]);
  });

  test("they are the same wherever the bytes are cut, and no round is empty", async () => {
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const rounds = await roundsOf([bytes.slice(0, cut), bytes.slice(cut)].filter(({ length }) => length > 0));
      expect(rounds.flat()).toEqual(events);
      expect(rounds.every(({ length }) => length > 0)).toBe(true);
    }
  });

  test("byte by byte is the same", async () => {
    expect((await roundsOf([...bytes].map((byte) => Uint8Array.of(byte)))).flat()).toEqual(events);
  });

  test("a stream that was cut ends with the last whole event", async () => {
    expect((await roundsOf([bytes.slice(0, -1)])).flat()).toEqual(events.slice(0, 2));
  });

  test.each(['{"type":"delta","extra":1}', '{"type":"delta"}', "not JSON"])(
    "%s is an error and never passed on",
    async (line) => {
      await expect(roundsOf([new TextEncoder().encode(`${line}\n`)])).rejects.toThrow();
    },
  );

  test("a stream that breaks throws what it broke of", async () => {
    const broken = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.error(new Error("the object was reset"));
      },
    });
    await expect(readByTelling(broken).next()).rejects.toThrow("the object was reset");
  });
});
