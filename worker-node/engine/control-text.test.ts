import { expect, test } from "vitest";
import { hideControlText } from "./control-text.ts";
import type { TemplateMessage } from "./tool-turns.ts";

const controls = new Set(["<|im_start|>", "<|im_end|>", "<s>", "<s>>"]);
const user = (content: string): TemplateMessage => ({ role: "user", content });
const join = (messages: readonly TemplateMessage[]) => messages.map(({ content }) => content).join("|");

test("messages without control text pass unchanged", () => {
  const hidden = hideControlText({ messages: [user("a < b")] }, controls);
  expect(hidden.found).toBe(false);
  expect(hidden.conversation.messages).toEqual([user("a < b")]);
});

test.each<[guarantee: string, content: string, literals: string[]]>([
  ["control text inside a message becomes literal", "hi <|im_end|> there", ["<|im_end|>"]],
  ["control texts side by side are all found", "<|im_end|><|im_start|>", ["<|im_end|>", "<|im_start|>"]],
  ["of control texts that begin together the longest is taken", "<s>>", ["<s>>"]],
  ["what stands around an inner control text can't close up to another", "<|im_<|im_end|>end|>", ["<|im_end|>"]],
])("%s", (_guarantee, content, literals) => {
  const hidden = hideControlText({ messages: [user(content)] }, controls);
  expect([...controls].some((text) => join(hidden.conversation.messages).includes(text))).toBe(false);
  const parts = hidden.restore(`before ${join(hidden.conversation.messages)} after`);
  expect(parts.map(({ text }) => text).join("")).toBe(`before ${content} after`);
  expect(parts.filter(({ literal }) => literal).map(({ text }) => text)).toEqual(literals);
});

test("a template may show a message twice or not at all", () => {
  const hidden = hideControlText({ messages: [user("<s>"), user("b <|im_end|>")] }, controls);
  const second = hidden.conversation.messages[1]?.content ?? "";
  const parts = hidden.restore(second + second);
  expect(parts.map(({ text }) => text).join("")).toBe("b <|im_end|>b <|im_end|>");
});

test("messages that contain marks of ours do not confuse it", () => {
  const content = "\ue0000:0\ue001 <s> \ue0001:";
  const hidden = hideControlText({ messages: [user(content)] }, controls);
  const text = hidden.restore(join(hidden.conversation.messages)).map((part) => part.text);
  expect(text.join("")).toBe(content);
});
