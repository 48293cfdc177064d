import { describe, expect, test } from "vitest";
import { type AttemptId, attemptIdSchema, type ModelHash, modelHashSchema, taskIdSchema } from "../core/ids.ts";
import { modelNameSchema } from "../core/model/model-card.ts";
import { type NodeFrame, nodeFrameSchema } from "../core/wire/node-frame.ts";
import type { TaskFrame } from "../core/wire/router-frame.ts";
import type { TaskInput } from "../core/wire/task-input.ts";
import { HandEngine, type Run } from "./engine/hand-engine.fixture.ts";
import { type FinishedTask, TaskRunner } from "./task-runner.ts";

const model = modelHashSchema.parse("a".repeat(64));
const sampling = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, seed: 1, stop: [], maxTokens: 8 };
const chat: TaskInput = { kind: "chat", messages: [{ role: "user", content: "hello" }], sampling };
const embedding: TaskInput = { kind: "embedding", texts: ["one", "two"] };
const attempt = (number: number): AttemptId => attemptIdSchema.parse(`attempt_000${number}`);
const taskFrame = (
  number: number,
  { input = chat, of = model }: { input?: TaskInput; of?: ModelHash } = {},
): TaskFrame => ({
  type: "task",
  taskId: taskIdSchema.parse(`task_000${number}`),
  attemptId: attempt(number),
  model: of,
  input,
});

/** Lets every promise that is ready go on. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

function newRunner({ slots = 2, engine = new HandEngine() } = {}) {
  const frames: NodeFrame[] = [];
  const finished: FinishedTask[] = [];
  const runner = new TaskRunner({
    models: [{ name: modelNameSchema.parse("a-model"), fileSha256: model, slots, engine }],
    send: (frame) => frames.push(nodeFrameSchema.parse(frame)),
    onFinished: (task) => finished.push(task),
  });
  const credits = () => frames.flatMap((frame) => (frame.type === "pull" ? [frame.creditsTotal] : []));
  const of = (number: number) =>
    frames.filter((frame) =>
      frame.type === "delta"
        ? frame.items.some(({ attemptId }) => attemptId === attempt(number))
        : "attemptId" in frame && frame.attemptId === attempt(number),
    );
  /** The `number`th task to reach the engine. */
  const run = (number: number): Run => {
    const started = engine.runs[number - 1];
    if (started === undefined) throw new Error(`the engine has not begun task ${number}`);
    return started;
  };
  return { runner, engine, frames, finished, credits, of, run };
}

describe("credits", () => {
  test("a fresh socket is offered all slots", async () => {
    const { runner, frames } = newRunner({ slots: 3 });
    await runner.open();
    expect(frames).toEqual([{ type: "pull", model, creditsTotal: 3 }]);
  });

  test("each task that ends grants one more, however it ends", async () => {
    const { runner, engine, credits, run } = newRunner({ slots: 2 });
    await runner.open();
    runner.take(taskFrame(1));
    runner.take(taskFrame(2));
    await settled();
    expect(credits()).toEqual([2]);
    run(1).finish();
    await settled();
    run(2).fail(new Error("out of memory"));
    await settled();
    engine.overflow = { kind: "context_overflow", promptTokens: 101, contextTokens: 100, inputIndex: 0 };
    runner.take(taskFrame(3));
    await settled();
    expect(credits()).toEqual([2, 3, 4, 5]);
  });

  test("a task is over before its credit is given: a slot is never offered twice", async () => {
    const { runner, frames, run } = newRunner({ slots: 1 });
    await runner.open();
    runner.take(taskFrame(1));
    await settled();
    run(1).finish();
    await settled();
    expect(frames.map(({ type }) => type)).toEqual(["pull", "ack", "commit", "pull"]);
    expect(runner.runningCount).toBe(0);
  });

  test("a new socket is offered exactly the slots, whatever ran on the old one", async () => {
    const { runner, credits } = newRunner({ slots: 2 });
    await runner.open();
    runner.take(taskFrame(1));
    runner.take(taskFrame(2));
    await settled();
    await runner.abandon();
    await runner.open();
    await settled();
    expect(credits()).toEqual([2, 2]);
  });

  test("a new socket is offered nothing until the old one's tasks have let go of their slots", async () => {
    const engine = new HandEngine();
    engine.isStubborn = true;
    const { runner, credits, run } = newRunner({ slots: 1, engine });
    await runner.open();
    runner.take(taskFrame(1));
    await settled();
    const opened = runner.open();
    await settled();
    expect(run(1).isAborted).toBe(true);
    expect(credits()).toEqual([1]);
    run(1).finish();
    await opened;
    expect(credits()).toEqual([1, 1]);
  });

  test("a late task of an old socket gives no credit on the new one", async () => {
    const engine = new HandEngine();
    engine.isStubborn = true;
    const { runner, credits, run } = newRunner({ slots: 1, engine });
    await runner.open();
    runner.take(taskFrame(1));
    await settled();
    const abandoned = runner.abandon();
    const opened = runner.open();
    run(1).finish();
    await Promise.all([abandoned, opened]);
    await settled();
    runner.take(taskFrame(2));
    await settled();
    run(2).finish();
    await settled();
    expect(credits()).toEqual([1, 1, 2]);
  });

  test("a task for a model that is not here gives no credit for one that is", async () => {
    const { runner, of, credits } = newRunner();
    await runner.open();
    runner.take(taskFrame(1, { of: modelHashSchema.parse("b".repeat(64)) }));
    await settled();
    expect(of(1)).toEqual([{ type: "fail", attemptId: attempt(1), reason: { code: "unknown_model" } }]);
    expect(credits()).toEqual([2]);
  });
});

describe("a chat", () => {
  test("is acknowledged, streamed and committed, with counts that agree", async () => {
    const { runner, of, finished, run } = newRunner();
    await runner.open();
    runner.take(taskFrame(1));
    await settled();
    run(1).piece({ text: "Pa", tokenIds: [1] });
    run(1).piece({ text: "ris", tokenIds: [2, 3] });
    run(1).finish("length");
    await settled();
    const attemptId = attempt(1);
    expect(of(1)).toEqual([
      { type: "ack", attemptId, promptTokens: 7 },
      { type: "delta", items: [{ attemptId, seq: 0, text: "Pa", tokenIds: [1] }] },
      { type: "delta", items: [{ attemptId, seq: 1, text: "ris", tokenIds: [2, 3] }] },
      { type: "commit", attemptId, finishReason: "length", promptTokens: 7, completionTokens: 3 },
    ]);
    expect(finished).toMatchObject([
      { outcome: "length", model: "a-model", promptTokens: 7, tokenIds: [1, 2, 3], problem: undefined },
    ]);
  });

  test("that is cancelled commits what it has", async () => {
    const { runner, of, finished, run } = newRunner();
    await runner.open();
    runner.take(taskFrame(1));
    await settled();
    run(1).piece({ text: "Pa", tokenIds: [1] });
    runner.cancel(attempt(1));
    await settled();
    expect(of(1).at(-1)).toEqual({
      type: "commit",
      attemptId: attempt(1),
      finishReason: "cancelled",
      promptTokens: 7,
      completionTokens: 1,
    });
    expect(finished).toMatchObject([{ outcome: "cancelled", tokenIds: [1] }]);
  });

  test("cancelled after its end, or never taken, says nothing", async () => {
    const { runner, frames, run } = newRunner();
    await runner.open();
    runner.take(taskFrame(1));
    await settled();
    run(1).finish();
    await settled();
    const before = frames.length;
    runner.cancel(attempt(1));
    runner.cancel(attempt(9));
    await settled();
    expect(frames).toHaveLength(before);
  });

  test("whose engine breaks fails with the engine's words, cut to what the wire takes", async () => {
    const { runner, of, finished, run } = newRunner();
    await runner.open();
    runner.take(taskFrame(1));
    await settled();
    run(1).fail(new Error("x".repeat(900)));
    await settled();
    expect(of(1).at(-1)).toEqual({
      type: "fail",
      attemptId: attempt(1),
      reason: { code: "engine_error", message: "x".repeat(500) },
    });
    expect(finished).toMatchObject([{ outcome: "failed", problem: "x".repeat(900) }]);
  });

  test("says nothing after its end, also when the engine breaks in the middle", async () => {
    const { runner, of, run } = newRunner();
    await runner.open();
    runner.take(taskFrame(1));
    await settled();
    run(1).piece({ text: "a", tokenIds: [1] });
    run(1).piece({ text: "b", tokenIds: [2] });
    run(1).fail(new Error("out of memory"));
    await settled();
    expect(of(1).map(({ type }) => type)).toEqual(["ack", "delta", "delta", "fail"]);
  });

  test("that does not fit fails with both counts, unrun", async () => {
    const { runner, engine, of, finished } = newRunner();
    engine.overflow = { kind: "context_overflow", promptTokens: 101, contextTokens: 100, inputIndex: 0 };
    await runner.open();
    runner.take(taskFrame(1));
    await settled();
    expect(of(1)).toEqual([
      {
        type: "fail",
        attemptId: attempt(1),
        reason: { code: "context_length_exceeded", promptTokens: 101, contextTokens: 100, inputIndex: 0 },
      },
    ]);
    expect(engine.runs).toHaveLength(0);
    expect(finished).toMatchObject([{ outcome: "failed", problem: "the prompt has 101 tokens and the context 100" }]);
  });

  test("for a model that embeds is refused as unsupported, so that no other node is tried", async () => {
    const { runner, of } = newRunner({ engine: new HandEngine("embedding") });
    await runner.open();
    runner.take(taskFrame(1));
    await settled();
    expect(of(1)).toEqual([
      {
        type: "fail",
        attemptId: attempt(1),
        reason: { code: "unsupported", message: "a-model is a model for embedding." },
      },
    ]);
  });

  test("that breaks while it is prepared takes no other task with it", async () => {
    const { runner, engine, of, credits, run } = newRunner();
    await runner.open();
    runner.take(taskFrame(1));
    await settled();
    engine.refusal = new Error("no template");
    runner.take(taskFrame(2));
    await settled();
    expect(of(2)).toMatchObject([{ type: "fail", reason: { code: "engine_error", message: "no template" } }]);
    run(1).finish();
    await settled();
    expect(of(1).at(-1)).toMatchObject({ type: "commit", finishReason: "stop" });
    expect(credits()).toEqual([2, 3, 4]);
  });
});

describe("an embedding", () => {
  const embedder = () => newRunner({ engine: new HandEngine("embedding") });

  test("is acknowledged, sent and committed without completion tokens", async () => {
    const { runner, of, run } = embedder();
    await runner.open();
    runner.take(taskFrame(1, { input: embedding }));
    await settled();
    run(1).vector(0, Float32Array.of(1));
    run(1).vector(1, Float32Array.of(-2));
    run(1).finish();
    await settled();
    const attemptId = attempt(1);
    expect(of(1)).toEqual([
      { type: "ack", attemptId, promptTokens: 7 },
      {
        type: "delta",
        items: [
          {
            attemptId,
            seq: 0,
            vectors: [
              { index: 0, float32: "AACAPw==" },
              { index: 1, float32: "AAAAwA==" },
            ],
          },
        ],
      },
      { type: "commit", attemptId, finishReason: "stop", promptTokens: 7, completionTokens: 0 },
    ]);
  });

  test("that is cancelled commits as cancelled, and is no engine error", async () => {
    const { runner, of, finished } = embedder();
    await runner.open();
    runner.take(taskFrame(1, { input: embedding }));
    await settled();
    runner.cancel(attempt(1));
    await settled();
    expect(of(1).at(-1)).toMatchObject({ type: "commit", finishReason: "cancelled" });
    expect(finished).toMatchObject([{ outcome: "cancelled" }]);
  });

  test("whose engine breaks is an engine error", async () => {
    const { runner, of, run } = embedder();
    await runner.open();
    runner.take(taskFrame(1, { input: embedding }));
    await settled();
    run(1).fail("a thing that is no Error");
    await settled();
    expect(of(1).at(-1)).toMatchObject({
      type: "fail",
      reason: { code: "engine_error", message: "a thing that is no Error" },
    });
  });

  test("names the input that does not fit", async () => {
    const { runner, engine, of } = embedder();
    engine.overflow = { kind: "context_overflow", promptTokens: 101, contextTokens: 100, inputIndex: 1 };
    await runner.open();
    runner.take(taskFrame(1, { input: embedding }));
    await settled();
    expect(of(1)).toMatchObject([{ type: "fail", reason: { inputIndex: 1 } }]);
  });
});

describe("a draining node", () => {
  test("says so, finishes what runs, and says when it is done", async () => {
    const { runner, frames, of, run } = newRunner();
    await runner.open();
    runner.take(taskFrame(1));
    await settled();
    const drained = runner.drain();
    await settled();
    expect(frames.at(-1)).toEqual({ type: "status", state: "draining", running: 1 });
    run(1).finish();
    await drained;
    expect(of(1).at(-1)).toMatchObject({ type: "commit", finishReason: "stop" });
    expect(frames.at(-1)).toEqual({ type: "drained" });
  });

  test("refuses what crosses its word on the way, and grants no more", async () => {
    const { runner, engine, of, credits, run } = newRunner();
    await runner.open();
    runner.take(taskFrame(1));
    await settled();
    const drained = runner.drain();
    runner.take(taskFrame(2));
    await settled();
    expect(of(2)).toEqual([{ type: "fail", attemptId: attempt(2), reason: { code: "draining" } }]);
    expect(engine.runs).toHaveLength(1);
    run(1).finish();
    await drained;
    expect(credits()).toEqual([2]);
  });

  test("offers nothing on a new socket", async () => {
    const { runner, credits } = newRunner();
    await runner.drain();
    await runner.open();
    expect(credits()).toEqual([]);
  });

  test("with nothing to do is done at once", async () => {
    const { runner, frames } = newRunner();
    await runner.open();
    await runner.drain();
    expect(frames.slice(1)).toEqual([{ type: "status", state: "draining", running: 0 }, { type: "drained" }]);
  });
});
