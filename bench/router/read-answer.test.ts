import { describe, expect, test } from "vitest";
import { readAnswer } from "./read-answer.ts";

const chunk = (content: string) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;
const stream = `${chunk("")}: keep-alive\n\n${chunk("word0 ")}${chunk("wörd1 ")}data: [DONE]\n\n`;

/** A body that arrives in parts of `size` bytes. */
function bodyOf(text: string, size: number) {
  const bytes = Buffer.from(text);
  return {
    text: async () => text,
    async *[Symbol.asyncIterator]() {
      for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
    },
  };
}

describe("a stream", () => {
  test.each([1, 7, 100_000])("is the same text however it is cut, here into parts of %d bytes", async (size) => {
    const { text, textAtMs } = await readAnswer(bodyOf(stream, size), "stream");
    expect(text).toBe("word0 wörd1 ");
    expect(textAtMs).toHaveLength(2);
  });

  test("without [DONE] is an error, since its end may be missing", async () => {
    await expect(readAnswer(bodyOf(chunk("word0 "), 10), "stream")).rejects.toThrow("[DONE]");
  });

  test("that tells of an error is one", async () => {
    const told = `data: ${JSON.stringify({ error: { message: "broken" } })}\n\ndata: [DONE]\n\n`;
    await expect(readAnswer(bodyOf(told, 1_000), "stream")).rejects.toThrow("broken");
  });
});

test("a whole answer is its first choice's text", async () => {
  const whole = JSON.stringify({ choices: [{ message: { content: "word0 " } }] });
  expect(await readAnswer(bodyOf(whole, 1_000), "whole")).toEqual({ text: "word0 ", textAtMs: [] });
});
