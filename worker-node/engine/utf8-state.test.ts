import { expect, test } from "vitest";
import { afterBytes, betweenCharacters } from "./utf8-state.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Whether the platform's own decoder takes these bytes. */
function isUtf8(bytes: readonly number[]): boolean {
  try {
    decoder.decode(Uint8Array.from(bytes));
    return true;
  } catch {
    return false;
  }
}

test("takes of all sequences of two bytes, and of longer ones at each border, what the platform's decoder takes", () => {
  const all = Array.from({ length: 256 }, (_, byte) => byte);
  const borders = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff];
  const leads = all.filter((byte) => byte >= 0xc0);
  const sequences = [
    ...all.flatMap((first) => all.map((second) => [first, second])),
    ...leads.flatMap((first) => borders.flatMap((second) => borders.map((third) => [first, second, third]))),
    ...leads.flatMap((first) => borders.flatMap((second) => borders.map((third) => [first, second, third, 0x80]))),
  ];
  for (const bytes of sequences) {
    const state = afterBytes(betweenCharacters, bytes);
    expect([bytes, state?.left === 0]).toEqual([bytes, isUtf8(bytes)]);
  }
});

test("a character may come in parts", () => {
  const half = afterBytes(betweenCharacters, [0xf0, 0x9f]);
  expect(half?.left).toBe(2);
  expect(half && afterBytes(half, [0x90, 0x88])).toMatchObject({ left: 0 });
  expect(half && afterBytes(half, [0x41])).toBeUndefined();
});
