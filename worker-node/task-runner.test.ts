import { afterEach, describe, expect, test, vi } from "vitest";
import { modelHashSchema } from "../core/ids.ts";
import { HandEngine } from "./engine/hand-engine.fixture.ts";
import {
  attempt,
  check,
  closeRunners,
  commitment,
  embedding,
  fresh,
  goesOn,
  isCommittedTo,
  model,
  newRunner,
  settled,
  taskFrame,
} from "./task-runner.fixture.ts";

afterEach(async () => {
  vi.useRealTimers();
  await closeRunners();
});

describe("credits", () => {
  test("a fresh socket is offered all slots", async () => {
    const { runner, frames } = newRunner({ slots: 3 });
    runner.open(fresh);
    expect(frames).toEqual([{ type: "pull", model, creditsTotal: 3 }]);
  });

  test("each task that ends grants one more, however it ends", async () => {
    const { runner, engine, credits, run } = newRunner({ slots: 2 });
    runner.open(fresh);
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
    runner.open(fresh);
    runner.take(taskFrame(1));
    await settled();
    run(1).finish();
    await settled();
    expect(frames.map(({ type }) => type)).toEqual(["pull", "ack", "commit", "pull"]);
    expect(runner.runningCount).toBe(0);
  });

  test("a new socket is offered the slots that are free: those that run keep theirs", async () => {
    const { runner, credits, run } = newRunner({ slots: 3 });
    runner.open(fresh);
    runner.take(taskFrame(1));
    runner.take(taskFrame(2));
    await settled();
    runner.lost();
    runner.open({ leases: [goesOn(1), goesOn(2)] });
    expect(credits()).toEqual([3, 1]);
    run(1).finish();
    await settled();
    expect(credits()).toEqual([3, 1, 2]);
  });

  test("a task that ends without a socket gives its credit with the next socket's free slots", async () => {
    const { runner, credits, run } = newRunner({ slots: 2 });
    runner.open(fresh);
    runner.take(taskFrame(1));
    await settled();
    runner.lost();
    run(1).finish();
    await settled();
    expect(credits()).toEqual([2]);
    runner.open({ leases: [goesOn(1)] });
    expect(credits()).toEqual([2, 2]);
  });

  test("a task that the welcome does not name gives its slot once the engine has let go", async () => {
    const engine = new HandEngine();
    engine.isStubborn = true;
    const { runner, credits, of, run } = newRunner({ slots: 1, engine });
    runner.open(fresh);
    runner.take(taskFrame(1));
    await settled();
    runner.lost();
    runner.open(fresh);
    expect(run(1).isAborted).toBe(true);
    expect(credits()).toEqual([1, 0]);
    run(1).finish();
    await settled();
    expect(credits()).toEqual([1, 0, 1]);
    expect(of(1)).toEqual([]);
  });

  test("a task for a model that is not here gives no credit for one that is", async () => {
    const { runner, of, credits } = newRunner();
    runner.open(fresh);
    runner.take(taskFrame(1, { of: modelHashSchema.parse("b".repeat(64)) }));
    await settled();
    expect(of(1)).toEqual([{ type: "fail", attemptId: attempt(1), reason: { code: "unknown_model" } }]);
    expect(credits()).toEqual([2]);
  });
});

describe("a chat", () => {
  test("is acknowledged, streamed and committed, with counts that agree", async () => {
    const { runner, of, finished, run } = newRunner();
    runner.open(fresh);
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
      { type: "commit", attemptId, finishReason: "length", commitment, promptTokens: 7, completionTokens: 3 },
    ]);
    expect(finished).toMatchObject([
      { outcome: "length", model: "a-model", promptTokens: 7, tokenIds: [1, 2, 3], problem: undefined },
    ]);
  });

  test("that is cancelled commits what it has", async () => {
    const { runner, of, finished, run } = newRunner();
    runner.open(fresh);
    runner.take(taskFrame(1));
    await settled();
    run(1).piece({ text: "Pa", tokenIds: [1] });
    runner.cancel({ attemptId: attempt(1) });
    await settled();
    expect(of(1).at(-1)).toEqual({
      type: "commit",
      attemptId: attempt(1),
      finishReason: "cancelled",
      commitment,
      promptTokens: 7,
      completionTokens: 1,
    });
    expect(finished).toMatchObject([{ outcome: "cancelled", tokenIds: [1] }]);
  });

  test("that is cancelled says in the log how long it took to stop", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const engine = new HandEngine();
    engine.isStubborn = true;
    const { runner, finished, run } = newRunner({ engine });
    runner.open(fresh);
    runner.take(taskFrame(1));
    await settled();
    vi.setSystemTime(Date.now() + 500);
    runner.cancel({ attemptId: attempt(1) });
    runner.cancel({ attemptId: attempt(1) });
    vi.setSystemTime(Date.now() + 30);
    run(1).finish();
    await settled();
    expect(finished).toMatchObject([{ outcome: "cancelled", stoppedAfterMs: 30, totalMs: 530, problem: undefined }]);
  });

  test("that is cancelled before its prompt is counted is not run", async () => {
    const { runner, engine, of } = newRunner();
    runner.open(fresh);
    runner.take(taskFrame(1));
    runner.cancel({ attemptId: attempt(1) });
    await settled();
    expect(engine.runs).toHaveLength(0);
    expect(of(1)).toMatchObject([{ type: "ack" }, { type: "commit", finishReason: "cancelled", completionTokens: 0 }]);
  });

  test("goes on after the tokens that other nodes made, and counts its own alone", async () => {
    const { runner, engine, of, run } = newRunner();
    runner.open(fresh);
    runner.take({ ...taskFrame(1), continues: [11, 12] });
    runner.take(taskFrame(2));
    await settled();
    run(1).piece({ text: "c", tokenIds: [13] });
    run(1).finish();
    await settled();
    expect(engine.continued).toEqual([[11, 12], []]);
    expect(of(1).at(-1)).toMatchObject({ type: "commit", promptTokens: 7, completionTokens: 1 });
  });

  test("cancelled after its end, or never taken, says nothing", async () => {
    const { runner, frames, run } = newRunner();
    runner.open(fresh);
    runner.take(taskFrame(1));
    await settled();
    run(1).finish();
    await settled();
    const before = frames.length;
    runner.cancel({ attemptId: attempt(1) });
    runner.cancel({ attemptId: attempt(9) });
    await settled();
    expect(frames).toHaveLength(before);
  });

  test("whose engine breaks fails with the engine's words, cut to what the wire takes", async () => {
    const { runner, of, finished, run } = newRunner();
    runner.open(fresh);
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
    runner.open(fresh);
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
    runner.open(fresh);
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
    runner.open(fresh);
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
    runner.open(fresh);
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

describe("what a node stands by", () => {
  test("is every id that it sent, and what the answer had before", async () => {
    const { runner, of, run } = newRunner();
    runner.open(fresh);
    runner.take({ ...taskFrame(1), continues: [11, 12] });
    await settled();
    run(1).piece({ text: "c", tokenIds: [13] });
    run(1).piece({ text: "d", tokenIds: [14, 15] });
    run(1).finish();
    await settled();
    expect(await isCommittedTo(of(1), 1, [11, 12, 13, 14, 15])).toBe(true);
    expect(await isCommittedTo(of(1), 1, [13, 14, 15])).toBe(false);
    expect(await isCommittedTo(of(1), 2, [11, 12, 13, 14, 15])).toBe(false);
  });

  test.each([
    ["before it began", false, []],
    ["in its middle", true, [13]],
  ])("of an answer that is cancelled %s is what there is of it", async (_when, isBegun, tokenIds) => {
    const { runner, of, run } = newRunner();
    runner.open(fresh);
    runner.take(taskFrame(1));
    if (isBegun) {
      await settled();
      run(1).piece({ text: "c", tokenIds: [13] });
    }
    runner.cancel({ attemptId: attempt(1) });
    await settled();
    expect(await isCommittedTo(of(1), 1, tokenIds)).toBe(true);
  });

  test("goes out once more with an answer whose socket was lost", async () => {
    const { runner, frames, of, run } = newRunner();
    runner.open(fresh);
    runner.take({ ...taskFrame(1), wantsPromptIds: true });
    await settled();
    run(1).piece({ text: "c", tokenIds: [13] });
    run(1).finish();
    await settled();
    const [before] = of(1).slice(-1);
    frames.length = 0;
    runner.lost();
    runner.open({ leases: [goesOn(1)] });
    expect(of(1).at(-1)).toEqual(before);
    expect(before).toMatchObject({ type: "commit", commitment, promptIds: [1, 2, 3, 4, 5, 6, 7] });
  });

  test("has the prompt's ids only where they are asked for, and only where the engine tells them", async () => {
    const { runner, engine, of, run } = newRunner();
    runner.open(fresh);
    runner.take(taskFrame(1));
    await settled();
    run(1).finish();
    engine.promptIds = undefined;
    runner.take({ ...taskFrame(2), wantsPromptIds: true });
    await settled();
    run(2).finish();
    await settled();
    for (const number of [1, 2]) expect(of(number).at(-1)).not.toHaveProperty("promptIds");
  });
});

describe("a check", () => {
  const report = {
    findings: [
      { position: 0, margin: 0, rank: 0 },
      { position: 2, margin: 0.5, rank: 3 },
    ],
    isTextOfTokens: true,
    isEndRight: true,
  };

  test("is acknowledged, reported in one piece and committed without tokens, with nothing to stand by", async () => {
    const { runner, engine, of, run, finished, credits } = newRunner();
    runner.open(fresh);
    runner.take(taskFrame(1, { input: check }));
    await settled();
    expect(engine.checked).toEqual([check]);
    run(1).report(report);
    await settled();
    const attemptId = attempt(1);
    expect(of(1)).toEqual([
      { type: "ack", attemptId, promptTokens: 7 },
      { type: "delta", items: [{ attemptId, seq: 0, report }] },
      { type: "commit", attemptId, finishReason: "stop", promptTokens: 7, completionTokens: 0 },
    ]);
    expect(finished).toMatchObject([{ outcome: "stop", report }]);
    expect(credits()).toEqual([2, 3]);
  });

  test("whose socket is lost is reported on the next one", async () => {
    const { runner, of, run } = newRunner();
    runner.open(fresh);
    runner.take(taskFrame(1, { input: check }));
    await settled();
    runner.lost();
    run(1).report(report);
    await settled();
    runner.open({ leases: [goesOn(1)] });
    expect(of(1).slice(-3)).toMatchObject([
      { type: "ack" },
      { type: "delta", items: [{ report }] },
      { type: "commit" },
    ]);
  });

  test.each([
    ["before it began", 0],
    ["in its middle", 1],
  ])("that is cancelled %s commits as cancelled, without a report", async (_when, runs) => {
    const { runner, engine, of, finished } = newRunner();
    runner.open(fresh);
    runner.take(taskFrame(1, { input: check }));
    if (runs > 0) await settled();
    runner.cancel({ attemptId: attempt(1) });
    await settled();
    expect(engine.runs).toHaveLength(runs);
    expect(of(1).at(-1)).toMatchObject({ type: "commit", finishReason: "cancelled", completionTokens: 0 });
    expect(finished).toMatchObject([{ outcome: "cancelled", report: undefined }]);
  });

  test("that the engine cannot do is refused as unsupported, so that another node is asked", async () => {
    const { runner, engine, of } = newRunner();
    engine.canCheck = false;
    runner.open(fresh);
    runner.take(taskFrame(1, { input: check }));
    await settled();
    expect(of(1)).toMatchObject([
      { type: "fail", reason: { code: "unsupported", message: "this engine cannot check answers" } },
    ]);
  });

  test("that breaks is an engine error, and one that does not fit says so", async () => {
    const { runner, engine, of, run } = newRunner();
    runner.open(fresh);
    runner.take(taskFrame(1, { input: check }));
    await settled();
    run(1).fail(new Error("out of memory"));
    engine.overflow = { kind: "context_overflow", promptTokens: 101, contextTokens: 100, inputIndex: 0 };
    runner.take(taskFrame(2, { input: check }));
    await settled();
    expect(of(1).at(-1)).toMatchObject({ type: "fail", reason: { code: "engine_error" } });
    expect(of(2)).toMatchObject([{ type: "fail", reason: { code: "context_length_exceeded" } }]);
  });
});

describe("an embedding", () => {
  const embedder = () => newRunner({ engine: new HandEngine("embedding") });

  test("is acknowledged, sent and committed without completion tokens", async () => {
    const { runner, of, run } = embedder();
    runner.open(fresh);
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
      { type: "commit", attemptId, finishReason: "stop", commitment, promptTokens: 7, completionTokens: 0 },
    ]);
  });

  test("that is cancelled commits as cancelled, and is no engine error", async () => {
    const { runner, of, finished } = embedder();
    runner.open(fresh);
    runner.take(taskFrame(1, { input: embedding }));
    await settled();
    runner.cancel({ attemptId: attempt(1) });
    await settled();
    expect(of(1).at(-1)).toMatchObject({ type: "commit", finishReason: "cancelled" });
    expect(finished).toMatchObject([{ outcome: "cancelled" }]);
  });

  test("whose engine breaks is an engine error", async () => {
    const { runner, of, run } = embedder();
    runner.open(fresh);
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
    runner.open(fresh);
    runner.take(taskFrame(1, { input: embedding }));
    await settled();
    expect(of(1)).toMatchObject([{ type: "fail", reason: { inputIndex: 1 } }]);
  });
});
