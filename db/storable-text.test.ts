import { expect, test } from "vitest";
import { storableText } from "./storable-text.ts";

test.each<[guarantee: string, text: string, stored: string]>([
  ["ordinary text is untouched", "naïve 😀 日本\n\u0001", "naïve 😀 日本\n\u0001"],
  ["the character 0 is replaced", "a\u0000b\u0000", "a\uFFFDb\uFFFD"],
  ["half a surrogate pair is replaced", "a\uD83Db\uDE00", "a\uFFFDb\uFFFD"],
])("%s", (_guarantee, text, stored) => {
  expect(storableText(text)).toBe(stored);
});
