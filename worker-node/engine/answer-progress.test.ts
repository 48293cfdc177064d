import { expect, test } from "vitest";
import { AnswerProgress } from "./answer-progress.ts";
import type { ChatPiece } from "./engine.ts";
import { makeVocabulary } from "./vocabulary.ts";

/** SentencePiece with every byte, so that any text can be cut anywhere, and two words. */
const vocabulary = makeVocabulary(
  {
    ggml: {
      model: "llama",
      tokens: [
        ...Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).padStart(2, "0")}>`),
        "▁one",
        "▁two",
      ],
      token_type: [...new Array(256).fill(6), 1, 1],
    },
  },
  () => "",
);
const bytes = (text: string): number[] => [...new TextEncoder().encode(text)];
const words = { one: 256, two: 257 };

interface Answer {
  stop?: string[];
  maxTokens?: number | null;
  roomTokens?: number;
}

/** Goes on after `continues` with `ids` until they or the answer end; `text` is what this part lets out. */
function write(ids: readonly number[], continues: readonly number[], answer: Answer) {
  const { stop = [], maxTokens = null, roomTokens = 1_000 } = answer;
  const progress = new AnswerProgress<number>({ vocabulary, stop, maxTokens, roomTokens, continues });
  const pieces: ChatPiece[] = [];
  for (const id of ids) {
    if (progress.ended !== undefined) break;
    pieces.push(progress.push(id));
  }
  return { text: pieces.map(({ text }) => text).join(""), held: progress.flush(), ended: progress.ended, progress };
}

test.each<[guarantee: string, ids: number[], answer: Answer, text: string, ended: "stop" | "length" | undefined]>([
  ["a character cut in two comes out once", bytes("a😀é猫b"), {}, "a😀é猫b", undefined],
  ["bytes that are no text become the same signs", [0xf0, 0x9f, 0x61, 0xc3], {}, "\ufffda\ufffd", undefined],
  ["the space before the first word goes only there", [words.one, words.two], {}, "one two", undefined],
  ["a stop string across the cut ends it", bytes("one STOP two"), { stop: ["STOP"] }, "one ", "stop"],
  ["a beginning across the cut is let out", bytes("one STOMP"), { stop: ["STOP"] }, "one STOMP", undefined],
  ["a stop string of several bytes a character", bytes("x猫😀y"), { stop: ["猫😀"] }, "x", "stop"],
  ["the last token lets out what was held", bytes("one ST"), { stop: ["STOP"], maxTokens: 6 }, "one ST", "length"],
  ["the context's end does too", bytes("one ST"), { stop: ["STOP"], roomTokens: 6 }, "one ST", "length"],
  ["half a character at the end by length", bytes("a😀").slice(0, 3), { maxTokens: 3 }, "a\ufffd", "length"],
])("%s, whole and from every cut", (_guarantee, ids, answer, text, ended) => {
  const whole = write(ids, [], answer);
  expect(whole.text + whole.held).toBe(text);
  expect(whole.ended).toBe(ended);
  const made = whole.progress.tokenIds;
  for (let cut = 0; cut <= made.length; cut++) {
    const head = write(made.slice(0, cut), [], answer);
    const tail = write(ids.slice(cut), made.slice(0, cut), answer);
    expect(head.text + tail.text + tail.held, `cut after ${cut}`).toBe(text);
    expect(tail.ended).toBe(ended);
    expect(tail.progress.tokenIds).toEqual(made);
  }
});

test("a longer context's answer that fills this one ends by length, and what was held comes out", () => {
  const { ended, held } = write([], bytes("one ST"), { stop: ["STOP"], roomTokens: 5 });
  expect({ ended, held }).toEqual({ ended: "length", held: "ST" });
});

test("a stop string wins over a length reached with the same token", () => {
  expect(write([], bytes("a."), { stop: ["."], maxTokens: 2 }).ended).toBe("stop");
  expect(write(bytes("a."), [], { stop: ["."], maxTokens: 2 }).ended).toBe("stop");
});

test("the ids of the whole answer are at hand while it grows", () => {
  const progress = new AnswerProgress({ vocabulary, stop: [], maxTokens: 9, roomTokens: 4, continues: bytes("ab") });
  const seen = progress.tokenIds;
  progress.push(words.two);
  expect(seen).toEqual([...bytes("ab"), words.two]);
  expect(progress.longestTokens).toBe(4);
});
