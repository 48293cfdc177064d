import { expect, test } from "vitest";
import { longestEventCharacters, readEvents } from "./event-stream.ts";

async function read(...chunks: (string | Uint8Array)[]): Promise<string[]> {
  async function* bytes() {
    for (const chunk of chunks) yield typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk;
  }
  const events: string[] = [];
  for await (const event of readEvents(bytes())) events.push(event);
  return events;
}

test.each<[what: string, stream: string, events: string[]]>([
  ["events end with an empty line", "data: a\n\ndata: b\n\n", ["a", "b"]],
  ["any line ending will do", "data: a\r\n\r\ndata: b\r\rdata: c\n\n", ["a", "b", "c"]],
  ["the space after the colon may be missing, and only one is dropped", "data:a\n\ndata:  b\n\n", ["a", " b"]],
  ["lines of one event are joined", "data: a\ndata: b\n\n", ["a\nb"]],
  ["comments and other fields are passed over", ": hello\nevent: x\nid: 1\ndata: a\n\n\n", ["a"]],
  ["an event that the end cuts off is none", "data: a\n\ndata: b\n", ["a"]],
  ["nothing is no event", "", []],
])("%s", async (_what, stream, events) => {
  expect(await read(stream)).toEqual(events);
  // However it arrives: byte by byte, characters of several bytes too.
  expect(await read(...[...new TextEncoder().encode(stream)].map((byte) => Uint8Array.of(byte)))).toEqual(events);
});

test("a character cut by the network is whole again", async () => {
  const bytes = new TextEncoder().encode("data: 猫😀\n\n");
  for (let cut = 0; cut <= bytes.length; cut++) {
    expect(await read(bytes.subarray(0, cut), bytes.subarray(cut))).toEqual(["猫😀"]);
  }
});

test("an event that never ends is refused", async () => {
  await expect(read("data: ", "x".repeat(longestEventCharacters + 1))).rejects.toThrow("does not end");
});
