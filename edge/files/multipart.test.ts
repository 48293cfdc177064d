import { expect, test } from "vitest";
import { Refusal } from "../../core/refusal.ts";
import { formParts, textOf } from "./multipart.ts";

/** A body that comes in pieces of so many bytes. */
function inPieces(bytes: Uint8Array, size: number): ReadableStream<Uint8Array> {
  let from = 0;
  return new ReadableStream({
    pull(controller) {
      if (from >= bytes.byteLength) return controller.close();
      controller.enqueue(bytes.subarray(from, from + size));
      from += size;
    },
  });
}

async function bytesOf(form: FormData): Promise<{ type: string; bytes: Uint8Array }> {
  const request = new Request("http://router/", { method: "POST", body: form });
  return { type: request.headers.get("content-type") ?? "", bytes: new Uint8Array(await request.arrayBuffer()) };
}

function requestOf(type: string, body: ReadableStream<Uint8Array>): Request {
  // Node asks for `duplex`, which the platform's types do not know.
  const init = { method: "POST", body, headers: { "content-type": type }, duplex: "half" };
  return new Request("http://router/", init);
}

async function read(request: Request): Promise<[name: string, filename: string | undefined, text: string][]> {
  const found: [string, string | undefined, string][] = [];
  for await (const part of formParts(request)) found.push([part.name, part.filename, await textOf(part, 1_000_000)]);
  return found;
}

const tricky = "\r\n--\r\n---\r\n--boundary\r\n\r\nä\0".repeat(50);

test.each([1, 2, 7, 64, 100_000])("a form of the platform's own is read whole in pieces of %d bytes", async (size) => {
  const form = new FormData();
  form.append("purpose", "batch");
  form.append("file", new File([tricky], "a.jsonl"));
  form.append("empty", "");
  const { type, bytes } = await bytesOf(form);
  expect(await read(requestOf(type, inPieces(bytes, size)))).toEqual([
    ["purpose", undefined, "batch"],
    ["file", "a.jsonl", tricky],
    ["empty", undefined, ""],
  ]);
});

test("a part that nobody reads is passed over", async () => {
  const form = new FormData();
  form.append("file", new File(["x".repeat(100_000)], "a"));
  form.append("purpose", "batch");
  const { type, bytes } = await bytesOf(form);
  const names: string[] = [];
  for await (const part of formParts(requestOf(type, inPieces(bytes, 1_000)))) names.push(part.name);
  expect(names).toEqual(["file", "purpose"]);
});

test.each<[what: string, type: string, body: string]>([
  ["another type", "application/json", "{}"],
  ["no boundary", "multipart/form-data", "--a"],
  [
    "an end before the last boundary",
    "multipart/form-data; boundary=a",
    '--a\r\ncontent-disposition: form-data; name="b"\r\n\r\nc',
  ],
  [
    "a part without a name",
    "multipart/form-data; boundary=a",
    "--a\r\ncontent-disposition: form-data\r\n\r\nc\r\n--a--",
  ],
  ["a boundary within a line", "multipart/form-data; boundary=a", "--ab\r\n--a--"],
  ["no boundary in it", "multipart/form-data; boundary=a", "hello"],
  ["endless headers", "multipart/form-data; boundary=a", `--a\r\n${"x".repeat(20_000)}\r\n\r\n`],
])("%s is refused", async (_what, type, body) => {
  const request = requestOf(type, inPieces(new TextEncoder().encode(body), 10));
  await expect(read(request)).rejects.toThrow(Refusal);
});
