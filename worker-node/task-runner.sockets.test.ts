import { afterEach, describe, expect, test, vi } from "vitest";
import { limits } from "../core/limits.ts";
import {
  attempt,
  closeRunners,
  commitment,
  fresh,
  goesOn,
  newRunner,
  settled,
  taskFrame,
} from "./task-runner.fixture.ts";

afterEach(async () => {
  vi.useRealTimers();
  await closeRunners();
});

describe("a lost socket", () => {
  test("stops nothing: what was made meanwhile follows the welcome, and the rest flows on", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const { runner, frames, of, run, finished } = newRunner();
    runner.open(fresh);
    runner.take(taskFrame(1));
    await settled();
    run(1).piece({ text: "a", tokenIds: [1] });
    runner.lost();
    frames.length = 0;
    run(1).piece({ text: "b", tokenIds: [2] });
    vi.advanceTimersByTime(20);
    expect(frames).toEqual([]);
    const attemptId = attempt(1);
    expect(runner.holding()).toEqual([
      { attemptId, firstSeq: 0, nextSeq: 2, completionTokens: 2, isOver: false, isEndSent: false },
    ]);
    runner.open({ leases: [{ attemptId, nextSeq: 1 }] });
    run(1).piece({ text: "c", tokenIds: [3] });
    run(1).finish();
    await settled();
    expect(of(1)).toEqual([
      { type: "ack", attemptId, promptTokens: 7 },
      { type: "delta", items: [{ attemptId, seq: 1, text: "b", tokenIds: [2] }] },
      { type: "delta", items: [{ attemptId, seq: 2, text: "c", tokenIds: [3] }] },
      { type: "commit", attemptId, finishReason: "stop", commitment, promptTokens: 7, completionTokens: 3 },
    ]);
    expect(finished).toMatchObject([{ outcome: "stop", tokenIds: [1, 2, 3] }]);
    expect(runner.resumedCount).toBe(1);
  });

  test("keeps an answer that ends without one, until the router has it", async () => {
    const { runner, frames, of, run } = newRunner();
    runner.open(fresh);
    runner.take(taskFrame(1));
    await settled();
    runner.lost();
    run(1).piece({ text: "a", tokenIds: [1] });
    run(1).finish();
    await settled();
    expect(frames.slice(1)).toEqual([]);
    runner.open({ leases: [goesOn(1)] });
    expect(of(1).map(({ type }) => type)).toEqual(["ack", "delta", "commit"]);
    runner.acked({ items: [], over: [attempt(1)] });
    expect(runner.holding()).toEqual([]);
  });

  test("whose welcome does not name a task stops it, and the log says why", async () => {
    const { runner, of, finished } = newRunner();
    runner.open(fresh);
    runner.take(taskFrame(1));
    await settled();
    runner.lost();
    runner.open(fresh);
    await settled();
    expect(of(1)).toEqual([]);
    expect(finished).toMatchObject([{ outcome: "cancelled", problem: "the router no longer waits for it" }]);
    expect(runner.holding()).toEqual([]);
  });

  test("stops what runs once it has been gone for 30 s", async () => {
    vi.useFakeTimers({ toFake: ["Date", "setInterval", "clearInterval"] });
    const { runner, run } = newRunner();
    runner.open(fresh);
    runner.take(taskFrame(1));
    await settled();
    runner.lost();
    vi.advanceTimersByTime(limits.leaseGraceMs - 1_000);
    expect(run(1).isAborted).toBe(false);
    vi.advanceTimersByTime(1_000);
    expect(run(1).isAborted).toBe(true);
  });
});

describe("the router", () => {
  test("may send a task twice: it is done once, while it runs and after", async () => {
    const { runner, engine, of, run, credits } = newRunner();
    runner.open(fresh);
    runner.take(taskFrame(1));
    runner.take(taskFrame(1));
    await settled();
    expect(engine.runs).toHaveLength(1);
    run(1).finish();
    await settled();
    runner.take(taskFrame(1));
    await settled();
    expect(engine.runs).toHaveLength(1);
    expect(of(1).map(({ type }) => type)).toEqual(["ack", "commit"]);
    expect(credits()).toEqual([2, 3]);
  });

  test("may ask for pieces again", async () => {
    const { runner, of, run, frames } = newRunner();
    runner.open(fresh);
    runner.take(taskFrame(1));
    await settled();
    run(1).piece({ text: "a", tokenIds: [1] });
    frames.length = 0;
    runner.resume({ attemptId: attempt(1), nextSeq: 0 });
    expect(of(1)).toMatchObject([{ type: "ack" }, { type: "delta", items: [{ seq: 0, text: "a", tokenIds: [1] }] }]);
  });

  test("that asks for pieces it said to forget hears that they are lost, and the task stops", async () => {
    const { runner, of, run } = newRunner();
    runner.open(fresh);
    runner.take(taskFrame(1));
    await settled();
    run(1).piece({ text: "a", tokenIds: [1] });
    runner.acked({ items: [{ attemptId: attempt(1), nextSeq: 1 }], over: [] });
    runner.resume({ attemptId: attempt(1), nextSeq: 0 });
    await settled();
    expect(run(1).isAborted).toBe(true);
    expect(of(1).at(-1)).toEqual({ type: "fail", attemptId: attempt(1), reason: { code: "lost_pieces" } });
  });

  test("that says a running task is over stops it", async () => {
    const { runner, run } = newRunner();
    runner.open(fresh);
    runner.take(taskFrame(1));
    await settled();
    runner.acked({ items: [], over: [attempt(1)] });
    expect(run(1).isAborted).toBe(true);
  });

  test("that cancels a task which nobody reads yet hears what it had, without its pieces", async () => {
    const { runner, frames, of, run } = newRunner();
    runner.open(fresh);
    runner.take(taskFrame(1));
    await settled();
    run(1).piece({ text: "a", tokenIds: [1] });
    runner.lost();
    frames.length = 0;
    runner.open({ leases: [{ attemptId: attempt(1), nextSeq: null }] });
    run(1).piece({ text: "b", tokenIds: [2] });
    runner.cancel({ attemptId: attempt(1) });
    await settled();
    expect(of(1)).toMatchObject([{ type: "ack" }, { type: "commit", finishReason: "cancelled", completionTokens: 2 }]);
  });
});

describe("a draining node", () => {
  test("says so, finishes what runs, and says when it is done", async () => {
    const { runner, frames, of, run } = newRunner();
    runner.open(fresh);
    runner.take(taskFrame(1));
    await settled();
    const drained = runner.drain();
    await settled();
    // On a machine with much else to do the ack may come by its own clock meanwhile.
    expect(frames).toContainEqual({ type: "status", state: "draining", running: 1 });
    run(1).finish();
    await drained;
    expect(of(1).at(-1)).toMatchObject({ type: "commit", finishReason: "stop" });
    expect(frames.at(-1)).toEqual({ type: "drained" });
  });

  test("refuses what crosses its word on the way, and grants no more", async () => {
    const { runner, engine, of, credits, run } = newRunner();
    runner.open(fresh);
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

  test("offers nothing on a new socket, and says again that it drains", async () => {
    const { runner, frames } = newRunner();
    await runner.drain();
    frames.length = 0;
    runner.open(fresh);
    expect(frames).toEqual([{ type: "status", state: "draining", running: 0 }]);
  });

  test("waits for a socket to bring its last answer, and says that it is done after it", async () => {
    const { runner, frames, run } = newRunner();
    runner.open(fresh);
    runner.take(taskFrame(1));
    await settled();
    runner.lost();
    const drained = runner.drain();
    run(1).finish();
    await settled();
    expect(frames.at(-1)).toMatchObject({ type: "status" });
    runner.open({ leases: [goesOn(1)] });
    await drained;
    expect(frames.slice(-4).map(({ type }) => type)).toEqual(["ack", "commit", "status", "drained"]);
  });

  test("waits no longer for a socket than anybody waits for the answer", async () => {
    vi.useFakeTimers({ toFake: ["Date", "setInterval", "clearInterval"] });
    const { runner, frames, run } = newRunner();
    runner.open(fresh);
    runner.take(taskFrame(1));
    await settled();
    runner.lost();
    const drained = runner.drain();
    run(1).finish();
    await settled();
    vi.advanceTimersByTime(limits.leaseGraceMs - 1_000);
    await settled();
    expect(frames.at(-1)).toMatchObject({ type: "status" });
    vi.advanceTimersByTime(1_000);
    await drained;
    expect(frames.at(-1)).toEqual({ type: "drained" });
  });

  test("with nothing to do is done at once", async () => {
    const { runner, frames } = newRunner();
    runner.open(fresh);
    await runner.drain();
    expect(frames.slice(1)).toEqual([{ type: "status", state: "draining", running: 0 }, { type: "drained" }]);
  });
});
