import { expect, test } from "vitest";
import { seededRandom } from "../testing/seeded-random.ts";
import { type AnswerPart, CallParser } from "./call-parser.ts";

const call = (name: string, json: string) => `<tool_call>\n{"name": "${name}", "arguments": ${json}}\n</tool_call>`;

/** What comes of a text in these pieces, neighbours of one kind joined. */
function parse(pieces: readonly string[]): AnswerPart[] {
  const parser = new CallParser();
  const joined: AnswerPart[] = [];
  for (const part of [...pieces.flatMap((piece) => parser.push(piece)), ...parser.flush()]) {
    const last = joined.at(-1);
    if (part.type === "text" && last?.type === "text") last.text += part.text;
    else if (part.type === "arguments" && last?.type === "arguments") last.text += part.text;
    else joined.push({ ...part });
  }
  return joined;
}

const text = (content: string): AnswerPart => ({ type: "text", text: content });
const called = (index: number, name: string, json: string): AnswerPart[] => [
  { type: "call", index, name },
  { type: "arguments", index, text: json },
];

const cases: readonly (readonly [guarantee: string, answer: string, parts: AnswerPart[]])[] = [
  ["an answer without calls is text, white space included", "  Hello,\n\nyou. \n", [text("  Hello,\n\nyou. \n")]],
  ["nothing is nothing", "", []],
  ["white space alone is text", " \n", [text(" \n")]],
  ["a call", call("f", '{"a": [1, "}"]}'), called(0, "f", '{"a": [1, "}"]}')],
  [
    "calls one after the other are counted, and what separates them is no text",
    `${call("f", "{}")}\n${call("g_2-x", '{"b": "\\"}\\\\"}')}\n`,
    [...called(0, "f", "{}"), ...called(1, "g_2-x", '{"b": "\\"}\\\\"}')],
  ],
  [
    "text before, between and after calls stays",
    `I look.\n${call("f", "{}")} then ${call("f", "{}")} done.`,
    [text("I look."), ...called(0, "f", "{}"), text(" then"), ...called(1, "f", "{}"), text(" done.")],
  ],
  ["arguments that are a single value", call("f", "12"), called(0, "f", "12")],
  [
    "a call that is cut off in its arguments is one with those",
    call("f", '{"a": "xy"}').slice(0, -16),
    called(0, "f", '{"a": "xy'),
  ],
  [
    "a call that is cut off before its arguments is text",
    '<tool_call>\n{"name": "f',
    [text('<tool_call>\n{"name": "f')],
  ],
  ["the beginning of a further call that was cut off is dropped", `${call("f", "{}")}\n<tool_c`, called(0, "f", "{}")],
  ["a further call that was cut off before its name is", `${call("f", "{}")}\n<tool_call>\n{"na`, called(0, "f", "{}")],
  ["a mark alone is text", "a <tool_call> b", [text("a <tool_call> b")]],
  [
    "a mark with a call behind it is text before the call",
    `<tool_call>${call("f", "{}")}`,
    [text("<tool_call>"), ...called(0, "f", "{}")],
  ],
  [
    "another form of a call is text",
    '<tool_call>{"name":"f"}</tool_call>',
    [text('<tool_call>{"name":"f"}</tool_call>')],
  ],
  [
    "a name without an end is text",
    `<tool_call>\n{"name": "${"f".repeat(80)}`,
    [text(`<tool_call>\n{"name": "${"f".repeat(80)}`)],
  ],
  ["the beginning of a mark at the end is text", "a <tool_", [text("a <tool_")]],
];

test.each(cases)("%s", (_guarantee, answer, parts) => {
  expect(parse([answer])).toEqual(parts);
});

test.each(cases)("however it is split: %s", (_guarantee, answer, parts) => {
  expect(parse([...answer])).toEqual(parts);
  for (let seed = 1; seed <= 20; seed += 1) {
    const random = seededRandom(seed);
    const pieces: string[] = [];
    for (let at = 0; at < answer.length; ) {
      const length = 1 + Math.floor(random() * 12);
      pieces.push(answer.slice(at, at + length));
      at += length;
    }
    expect(parse(pieces)).toEqual(parts);
  }
});

test("text and arguments come out as they come in, but for what may yet be a call", () => {
  const parser = new CallParser();
  expect(parser.push("Let me see <tool")).toEqual([text("Let me see")]);
  expect(parser.push('_call>\n{"name": "f", "arguments": {"a"')).toEqual(called(0, "f", '{"a"'));
  expect(parser.hasCalls).toBe(true);
  expect(parser.push(": 1")).toEqual([{ type: "arguments", index: 0, text: ": 1" }]);
});
