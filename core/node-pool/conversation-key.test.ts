import { describe, expect, test } from "vitest";
import type { ChatMessage } from "../wire/task-input.ts";
import { conversationKey } from "./conversation-key.ts";
import { account } from "./pool.fixture.ts";

const system = (content: string): ChatMessage => ({ role: "system", content });
const user = (content: string): ChatMessage => ({ role: "user", content });
const assistant = (content: string): ChatMessage => ({ role: "assistant", content });
const keyOf = (messages: ChatMessage[], name = "one") => conversationKey({ accountId: account(name), messages });

const opening = [system("Be brief."), user("Hello")];

describe("of one conversation", () => {
  test.each<[guarantee: string, messages: ChatMessage[]]>([
    ["the next turn has the same key", [...opening, assistant("Hi."), user("And now?")]],
    ["a system message further on changes nothing", [...opening, assistant("Hi."), system("Be long."), user("Now?")]],
    ["an answer that was begun changes nothing", [...opening, assistant("Hi")]],
  ])("%s", (_guarantee, messages) => {
    expect(keyOf(messages)).toBe(keyOf(opening));
  });
});

describe("of another conversation the key is another", () => {
  test.each<[guarantee: string, messages: ChatMessage[], name?: string]>([
    ["where it begins otherwise", [system("Be brief."), user("Good day")]],
    ["where its system message differs", [system("Be long."), user("Hello")]],
    ["where it has none", [user("Hello")]],
    ["where a text is cut elsewhere", [system("Be brief.\nuser:5:Hello"), user("")]],
    ["where two system messages make the text of one", [system("Be "), system("brief."), user("Hello")]],
    ["where roles are swapped", [user("Be brief."), system("Hello")]],
    ["where it is another account's", opening, "two"],
  ])("%s", (_guarantee, messages, name) => {
    expect(keyOf(messages, name)).not.toBe(keyOf(opening));
  });
});

test("a conversation without a user message goes by its first message", () => {
  expect(keyOf([assistant("a"), assistant("b")])).toBe(keyOf([assistant("a")]));
  expect(keyOf([assistant("a")])).not.toBe(keyOf([assistant("b")]));
});

test("a key is sixteen hexadecimal digits and holds nothing of the text", () => {
  expect(keyOf(opening)).toMatch(/^[0-9a-f]{16}$/);
});

test("ten thousand conversations have as many keys", () => {
  const keys = Array.from({ length: 10_000 }, (_, index) => keyOf([user(`Question ${index}`)]));
  expect(new Set(keys).size).toBe(10_000);
});

test("long messages are told apart by their length, and by what they begin with", () => {
  const long = "x".repeat(20_000);
  const keys = [long, `${long}x`, `y${long.slice(1)}`].map((content) => keyOf([user(content)]));
  expect(new Set(keys).size).toBe(3);
});
