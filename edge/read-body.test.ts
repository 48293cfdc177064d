import { expect, test } from "vitest";
import { limits } from "../core/limits.ts";
import { Refusal } from "../core/refusal.ts";
import { readJson } from "./read-body.ts";

const url = "https://router.test/v1/chat/completions";
const bytes = (text: string) => new TextEncoder().encode(text);

/** A request whose body comes in these chunks, without a content-length. `readChunks` counts those that were taken. */
function streaming(chunks: readonly Uint8Array[]): { request: Request; readChunks: () => number } {
  let next = 0;
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const chunk = chunks[next];
        next += 1;
        if (chunk === undefined) controller.close();
        else controller.enqueue(chunk);
      },
    },
    { highWaterMark: 0 },
  );
  const options = { method: "POST", body, duplex: "half" };
  return { request: new Request(url, options), readChunks: () => next };
}

const posted = (body: BodyInit) => new Request(url, { method: "POST", body });

async function refusalOf(request: Request): Promise<{ code: string; message: string }> {
  try {
    await readJson(request);
  } catch (error) {
    if (error instanceof Refusal) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error("the body was taken");
}

test.each<[text: string, value: unknown]>([
  ['{"a":1}', { a: 1 }],
  ["[1,2]", [1, 2]],
  ["null", null],
  ['"text"', "text"],
  [' \n{"a": "é€𝄞"} \n', { a: "é€𝄞" }],
  ['\ufeff{"a":1}', { a: 1 }],
])("%j is read", async (text, value) => {
  expect(await readJson(posted(text))).toEqual(value);
});

test("a body in chunks without a length is read whole", async () => {
  const { request } = streaming(['{"a":', '"b', '"}'].map(bytes));
  expect(request.headers.get("content-length")).toBeNull();
  expect(await readJson(request)).toEqual({ a: "b" });
});

test("a character that is cut by a chunk's border is whole again", async () => {
  const whole = bytes('{"a":"é€𝄞"}');
  for (let border = 1; border < whole.length; border += 1) {
    const { request } = streaming([whole.slice(0, border), whole.slice(border)]);
    expect(await readJson(request)).toEqual({ a: "é€𝄞" });
  }
});

test.each<[guarantee: string, chunks: Uint8Array[]]>([
  ["a byte that no UTF-8 has is refused", [bytes('{"a":"'), Uint8Array.of(0xff), bytes('"}')]],
  ["a character cut off by the next chunk is refused", [bytes('{"a":"'), Uint8Array.of(0xe2, 0x82), bytes('"}')]],
  ["a character cut off by the end is refused", [bytes('{"a":"'), Uint8Array.of(0xe2, 0x82)]],
  ["a surrogate in UTF-8 is refused", [bytes('{"a":"'), Uint8Array.of(0xed, 0xa0, 0x80), bytes('"}')]],
  ["an overlong slash is refused", [bytes('{"a":"'), Uint8Array.of(0xc0, 0xaf), bytes('"}')]],
])("%s", async (_guarantee, chunks) => {
  expect(await refusalOf(streaming(chunks).request)).toMatchObject({ code: "invalid_utf8" });
});

test.each<[guarantee: string, body: string]>([
  ["an empty body is no JSON", ""],
  ["a cut body is no JSON", '{"a":'],
  ["a form is no JSON", "model=what-was-sent"],
  ["a comma too many is no JSON", '{"a":"what-was-sent",}'],
  ["a body of several lines is no JSON", '{\n  "a": what-was-sent\n}\n'],
])("%s, and what was sent is not repeated", async (_guarantee, body) => {
  const { code, message } = await refusalOf(posted(body));
  expect(code).toBe("invalid_json");
  expect(message).not.toContain("what-was");
  expect(message).toMatch(/^The body is not valid JSON( \(at position \d+.*\))?\. Send one JSON object\.$/);
});

test("a request without a body is no JSON", async () => {
  expect(await refusalOf(new Request(url, { method: "POST" }))).toMatchObject({ code: "invalid_json" });
});

test("a body at the limit is read, one byte more is refused", async () => {
  const text = (sizeBytes: number) => `"${"a".repeat(sizeBytes - 2)}"`;
  expect(await readJson(posted(text(limits.bodyBytes)))).toHaveLength(limits.bodyBytes - 2);
  expect(await refusalOf(posted(text(limits.bodyBytes + 1)))).toMatchObject({ code: "request_too_large" });
});

test("the limit counts bytes, not characters", async () => {
  const text = `"${"é".repeat(limits.bodyBytes / 2)}"`;
  expect(text.length).toBeLessThan(limits.bodyBytes);
  expect(await refusalOf(posted(text))).toMatchObject({ code: "request_too_large" });
});

test("a body that says it is too large is refused unread", async () => {
  const { request, readChunks } = streaming([bytes("{}")]);
  request.headers.set("content-length", String(limits.bodyBytes + 1));
  expect(await refusalOf(request)).toMatchObject({ code: "request_too_large" });
  expect(readChunks()).toBe(0);
});

test("a body that is more than it says is refused past the limit all the same", async () => {
  const chunk = new Uint8Array(1024 * 1024).fill(0x20);
  const { request } = streaming(Array.from({ length: 8 }, () => chunk));
  request.headers.set("content-length", "2");
  expect(await refusalOf(request)).toMatchObject({ code: "request_too_large" });
});

test("a body of undeclared length is read no further than the limit", async () => {
  const chunk = new Uint8Array(1024 * 1024).fill(0x20);
  const { request, readChunks } = streaming(Array.from({ length: 64 }, () => chunk));
  expect(await refusalOf(request)).toMatchObject({ code: "request_too_large" });
  expect(readChunks()).toBeLessThanOrEqual(6);
});
