import { expect, test } from "vitest";
import { AnswerDecoder } from "./text-decoder.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Decodes the pieces as one token each. */
function decode(pieces: Uint8Array[], stripLeadingSpace = false): { pushed: string[]; flushed: string } {
  const decoder = new AnswerDecoder({ bytesOf: (id) => pieces[id] ?? new Uint8Array(), stripLeadingSpace });
  return { pushed: pieces.map((_, id) => decoder.push(id)), flushed: decoder.flush() };
}

test("a character split over tokens comes out with the token that completes it", () => {
  const [a, b, c, d] = bytes("😀");
  const pieces = [a, b, c, d].map((byte) => Uint8Array.of(byte ?? 0));
  expect(decode(pieces)).toEqual({ pushed: ["", "", "", "😀"], flushed: "" });
});

test("an answer that ends within a character ends in a replacement character", () => {
  expect(decode([bytes("a"), bytes("é").subarray(0, 1)])).toEqual({ pushed: ["a", ""], flushed: "\ufffd" });
});

test("bytes that are no text become replacement characters and what follows is read", () => {
  expect(decode([Uint8Array.of(0xff), bytes("b")]).pushed.join("")).toBe("\ufffdb");
});

test("a byte order mark that the model wrote stays", () => {
  expect(decode([bytes("\ufeffx")]).pushed.join("")).toBe("\ufeffx");
});

test.each<[guarantee: string, pieces: string[], strip: boolean, text: string]>([
  ["one leading space goes where the vocabulary adds it", ["  Hello", " world"], true, " Hello world"],
  ["a leading space stays where it does not", [" Hello", " world"], false, " Hello world"],
  ["only the first token loses a space", ["Hello", " world"], true, "Hello world"],
])("%s", (_guarantee, pieces, strip, text) => {
  expect(decode(pieces.map(bytes), strip).pushed.join("")).toBe(text);
});
