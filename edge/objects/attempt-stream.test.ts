import { expect, test } from "vitest";
import { type AttemptEvent, encodeAttemptEvent, readAttemptEvents } from "./attempt-stream.ts";

const events: AttemptEvent[] = [
  { type: "delta", text: "é€𝄞\n", tokenIds: [1, 2] },
  { type: "delta", vectors: [{ index: 0, float32: "AACAPw==" }] },
  { type: "committed", finishReason: "stop", promptTokens: 3, completionTokens: 2 },
];

const bytes = Uint8Array.from(events.flatMap((event) => [...encodeAttemptEvent(event)]));

function streamOf(chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

async function read(stream: ReadableStream<Uint8Array>): Promise<AttemptEvent[]> {
  const got: AttemptEvent[] = [];
  for await (const event of readAttemptEvents(stream)) got.push(event);
  return got;
}

test("events come out as they went in, wherever the chunks are cut", async () => {
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    expect(await read(streamOf([bytes.slice(0, cut), bytes.slice(cut)]))).toEqual(events);
  }
});

test("byte by byte is the same", async () => {
  expect(await read(streamOf([...bytes].map((byte) => Uint8Array.of(byte))))).toEqual(events);
});

test("a stream that was cut ends with the last whole event", async () => {
  expect(await read(streamOf([bytes.slice(0, -1)]))).toEqual(events.slice(0, 2));
});

test("a line that is no event is an error and never passed on", async () => {
  await expect(read(streamOf([new TextEncoder().encode('{"type":"delta","extra":1}\n')]))).rejects.toThrow();
  await expect(read(streamOf([new TextEncoder().encode("not JSON\n")]))).rejects.toThrow();
});
