import { expect, test } from "vitest";
import type { ChatInput } from "../../core/wire/task-input.ts";
import { answerText } from "./mock-answer.ts";
import { MockEngine } from "./mock-engine.ts";

const input = (maxTokens: number): ChatInput => ({
  kind: "chat",
  messages: [{ role: "user", content: "three words here" }],
  sampling: { temperature: 1, topP: 1, frequencyPenalty: 0, presencePenalty: 0, seed: 0, stop: [], maxTokens },
});

async function run(
  engine: MockEngine,
  { maxTokens, continues, stopAfter }: { maxTokens: number; continues?: number[]; stopAfter?: number },
) {
  const controller = new AbortController();
  const prepared = await engine.prepareChat(input(maxTokens), continues === undefined ? {} : { continues });
  let text = "";
  let pieces = 0;
  const outcome = await prepared.run({
    signal: controller.signal,
    onPiece: (piece) => {
      text += piece.text;
      pieces += 1;
      if (pieces === stopAfter) controller.abort();
    },
  });
  return { text, outcome };
}

test("an answer has as many pieces as were asked for, each of one token", async () => {
  const engine = new MockEngine({ paceMs: 0, onStopped: () => {} });
  const { text, outcome } = await run(engine, { maxTokens: 50 });
  expect(text).toBe(answerText(50));
  expect(outcome).toEqual({ finishReason: "length", promptTokens: 3, completionTokens: 50 });
});

test("what continues an answer gives what comes after it", async () => {
  const engine = new MockEngine({ paceMs: 0, onStopped: () => {} });
  const { text } = await run(engine, { maxTokens: 5, continues: [0, 1, 2] });
  expect(answerText(3) + text).toBe(answerText(5));
});

test("a run that is stopped ends at once, however slow it is, and is told of once", async () => {
  const stopped: string[] = [];
  const engine = new MockEngine({
    paceMs: 600_000,
    onStopped: ({ messages }) => stopped.push(messages[0]?.content ?? ""),
  });
  const { outcome } = await run(engine, { maxTokens: 5, stopAfter: 1 });
  expect(outcome).toMatchObject({ finishReason: "cancelled", completionTokens: 1 });
  expect(stopped).toEqual(["three words here"]);
});
