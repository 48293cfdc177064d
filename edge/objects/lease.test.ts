import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  accountIdSchema,
  keyIdSchema,
  modelHashSchema,
  newAttemptId,
  newTaskId,
  nodeIdSchema,
} from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import { modelNameSchema } from "../../core/model/model-card.ts";
import { taskRecordSchema } from "../../core/record/entry.ts";
import type { CommitFrame, DeltaItem, FailReason } from "../../core/wire/node-frame.ts";
import type { TaskInput } from "../../core/wire/task-input.ts";
import { readAttemptEvents } from "./attempt-stream.ts";
import { Lease } from "./lease.ts";
import type { RunRequest } from "./run.ts";

const chat: TaskInput = {
  kind: "chat",
  messages: [{ role: "user", content: "Hello" }],
  sampling: {
    temperature: 0,
    topP: 1,
    frequencyPenalty: 0,
    presencePenalty: 0,
    seed: 0,
    stop: [],
    maxTokens: null,
  },
};
const embedding: TaskInput = { kind: "embedding", texts: ["a", "b"] };
const one = { index: 0, float32: "AACAPw==" };
const two = { index: 1, float32: "AACAPw==" };

const startMs = 1_000_000;

beforeEach(() => {
  vi.useFakeTimers({ now: startMs });
});
afterEach(() => {
  vi.useRealTimers();
});

function leased(input: TaskInput = chat) {
  const request: RunRequest = {
    taskId: newTaskId(),
    attemptId: newAttemptId(),
    accountId: accountIdSchema.parse("acct"),
    keyId: keyIdSchema.parse("key_acct_1234"),
    modelName: modelNameSchema.parse("model"),
    model: modelHashSchema.parse("a".repeat(64)),
    input,
    createdAtMs: startMs - 10,
    priorAttempts: [],
  };
  const onEnd = vi.fn();
  const onUnread = vi.fn();
  const nodeId = nodeIdSchema.parse("node_1234");
  const lease = new Lease({ request, nodeId, dimensions: 1, nowMs: startMs, onEnd, onUnread });
  const { attemptId } = request;
  const delta = (seq: number, piece: Omit<DeltaItem, "attemptId" | "seq">) =>
    lease.delta({ attemptId, seq, ...piece }, Date.now());
  const commit = (fields: Partial<CommitFrame> = {}) =>
    lease.commit(
      { type: "commit", attemptId, finishReason: "stop", promptTokens: 3, completionTokens: 2, ...fields },
      Date.now(),
    );
  return { lease, onEnd, onUnread, delta, commit };
}

async function eventsOf(lease: Lease): Promise<unknown[]> {
  const events: unknown[] = [];
  for await (const event of readAttemptEvents(lease.events)) events.push(event);
  return events;
}

test("an answer goes through as it comes, and its end tells the counts", async () => {
  const { lease, delta, commit, onEnd } = leased();
  expect(lease.ack(3, startMs + 1)).toBeUndefined();
  expect(await lease.started).toEqual({ kind: "acked", promptTokens: 3 });
  expect(delta(0, { text: "Hel", tokenIds: [1] })).toBeUndefined();
  expect(delta(1, { text: "lo", tokenIds: [2] })).toBeUndefined();
  expect(onEnd).not.toHaveBeenCalled();
  expect(commit()).toBeUndefined();
  expect(onEnd).toHaveBeenCalledExactlyOnceWith(lease);
  expect(await eventsOf(lease)).toEqual([
    { type: "delta", text: "Hel", tokenIds: [1] },
    { type: "delta", text: "lo", tokenIds: [2] },
    { type: "committed", finishReason: "stop", promptTokens: 3, completionTokens: 2 },
  ]);
  expect(vi.getTimerCount()).toBe(0);
});

test("a completed task's record bills what was committed", () => {
  const { lease, delta, commit } = leased();
  lease.ack(3, startMs + 1);
  delta(0, { text: "Hello", tokenIds: [1, 2] });
  commit({ finishReason: "length" });
  const record = lease.record(startMs + 5);
  expect(taskRecordSchema.parse(record)).toEqual(record);
  expect(record).toMatchObject({
    state: "completed",
    finishReason: "length",
    promptTokens: 3,
    completionTokens: 2,
    createdAtMs: startMs - 10,
    endedAtMs: startMs + 5,
    attempts: [{ state: "committed", reason: null, ackedAtMs: startMs + 1, firstTokenAtMs: startMs }],
  });
});

type Fixture = ReturnType<typeof leased>;

/** What a node says; each gives what is wrong with it. */
type Word = (fixture: Fixture) => string | undefined;
const ack =
  (promptTokens: number): Word =>
  ({ lease }) =>
    lease.ack(promptTokens, startMs);
const says =
  (seq: number, tokens: number): Word =>
  ({ delta }) =>
    delta(seq, { text: "a", tokenIds: Array.from({ length: tokens }, () => 1) });
const gives =
  (...vectors: (typeof one)[]): Word =>
  ({ delta }) =>
    delta(0, { vectors });
const commits =
  (fields: Partial<CommitFrame> = {}): Word =>
  ({ commit }) =>
    commit(fields);

test.each<[guarantee: string, input: TaskInput, words: Word[], problem: RegExp]>([
  ["a delta before the ack", chat, [says(0, 1)], /^delta in state assigned/],
  ["a second ack", chat, [ack(3), ack(3)], /^ack in state acked/],
  ["a delta that skips one", chat, [ack(3), says(1, 1)], /^delta 1 .* 0 was due/],
  ["a delta that comes twice", chat, [ack(3), says(0, 1), says(0, 1)], /^delta 0 .* 1 was due/],
  ["a commit without an ack", chat, [commits({ promptTokens: 0, completionTokens: 0 })], /^commit in state assigned/],
  ["a commit of more tokens than came", chat, [ack(3), says(0, 1), commits()], /^commit of 2 tokens after .* of 1/],
  ["a commit of fewer tokens than came", chat, [ack(3), says(0, 3), commits()], /^commit of 2 tokens after .* of 3/],
  ["a commit of another prompt than was acked", chat, [ack(4), says(0, 2), commits()], /^commit of 3 prompt tokens/],
  [
    "giving up what nobody cancelled",
    chat,
    [ack(3), commits({ finishReason: "cancelled", completionTokens: 0 })],
    /nobody cancelled/,
  ],
  ["a vector in an answer of text", chat, [ack(3), gives(one)], /^a vector for input 0 .* never asked for/],
  [
    "a vector for an input that is not there",
    embedding,
    [ack(3), gives({ ...one, index: 2 })],
    /^a vector for input 2/,
  ],
  ["a vector that comes twice", embedding, [ack(3), gives(one, one)], /^a vector for input 0 came twice/],
  [
    "a vector that is too long",
    embedding,
    [ack(3), gives({ ...one, float32: "AACAPwAAgD8=" })],
    /^a vector of 2 numbers where 1 were due/,
  ],
  ["a vector of half a number", embedding, [ack(3), gives({ ...one, float32: "AAA=" })], /^a vector of 0\.5 numbers/],
  ["an empty vector", embedding, [ack(3), gives({ ...one, float32: "" })], /^a vector of 0 numbers/],
  [
    "a commit with a vector missing",
    embedding,
    [ack(3), gives(one), commits({ completionTokens: 0 })],
    /^commit with 1 vectors missing/,
  ],
])("%s is a broken protocol, and what came before it was not", (_guarantee, input, words, problem) => {
  const fixture = leased(input);
  const problems = words.map((word) => word(fixture));
  expect(problems.slice(0, -1)).toEqual(problems.slice(1).map(() => undefined));
  expect(problems.at(-1)).toMatch(problem);
});

test("vectors may come in any order and any number of pieces", () => {
  const { lease, delta, commit } = leased(embedding);
  lease.ack(3, startMs);
  expect(delta(0, { vectors: [two] })).toBeUndefined();
  expect(delta(1, { vectors: [one] })).toBeUndefined();
  expect(commit({ completionTokens: 0 })).toBeUndefined();
});

test("a node that does not ack in time has lost the task", async () => {
  const { lease, onEnd } = leased();
  vi.advanceTimersByTime(limits.ackMs - 1);
  expect(lease.isOver).toBe(false);
  vi.advanceTimersByTime(1);
  expect(await lease.started).toMatchObject({ kind: "failed", how: "deadline" });
  expect(onEnd).toHaveBeenCalledOnce();
  expect(lease.attempt.state).toBe("timed_out");
  expect(vi.getTimerCount()).toBe(0);
});

test("a node that is silent for too long has lost the task; each word gives it the whole time again", async () => {
  const { lease, delta } = leased();
  lease.ack(3, startMs);
  vi.advanceTimersByTime(limits.silenceMs - 1);
  delta(0, { text: "a", tokenIds: [1] });
  vi.advanceTimersByTime(limits.silenceMs - 1);
  expect(lease.isOver).toBe(false);
  vi.advanceTimersByTime(1);
  expect(lease.attempt.state).toBe("timed_out");
  expect(await eventsOf(lease)).toEqual([
    { type: "delta", text: "a", tokenIds: [1] },
    { type: "failed", how: "deadline", reason: "silent for too long" },
  ]);
});

test.each<[guarantee: string, reason: FailReason, start: object]>([
  ["a node without a slot leaves the task to others", { code: "no_slot" }, { kind: "failed", how: "refuse" }],
  ["a node that drains leaves the task to others", { code: "draining" }, { kind: "failed", how: "refuse" }],
  ["a node without the model leaves the task to others", { code: "unknown_model" }, { kind: "failed", how: "refuse" }],
  [
    "an engine's error leaves the task to others",
    { code: "engine_error", message: "out of memory" },
    { kind: "failed", how: "refuse", reason: "engine_error: out of memory" },
  ],
  [
    "a prompt that does not fit is the task's own fault",
    { code: "context_length_exceeded", promptTokens: 9, contextTokens: 8, inputIndex: 0 },
    { kind: "refused", fault: { code: "context_length_exceeded", promptTokens: 9, contextTokens: 8, inputIndex: 0 } },
  ],
  [
    "what the model cannot do is the task's own fault",
    { code: "unsupported", message: "no" },
    { kind: "refused", fault: { code: "unsupported", message: "no" } },
  ],
])("%s", async (_guarantee, reason, start) => {
  const { lease, onEnd } = leased();
  lease.fail(reason, startMs);
  expect(await lease.started).toMatchObject(start);
  expect(lease.attempt.state).toBe("rejected");
  expect(onEnd).toHaveBeenCalledOnce();
});

test("an attempt that failed leaves its task open and bills nothing", () => {
  const { lease, delta } = leased();
  lease.ack(3, startMs);
  delta(0, { text: "a", tokenIds: [1] });
  lease.end("socketGone", "gone", startMs + 2);
  expect(lease.record(startMs + 2)).toMatchObject({
    state: "queued",
    promptTokens: 0,
    completionTokens: 0,
    attempts: [{ state: "lost", reason: "gone", completionTokens: 1 }],
  });
});

test.each<[guarantee: string, act: (fixture: Fixture) => void]>([
  ["a commit", ({ commit }) => commit()],
  ["a fail", ({ lease }) => lease.fail({ code: "no_slot" }, startMs)],
  ["a lost socket", ({ lease }) => lease.end("socketGone", "gone", startMs)],
  ["a cancel", ({ lease }) => lease.cancel(startMs)],
])("%s after the end changes nothing", (_guarantee, act) => {
  const fixture = leased();
  fixture.lease.ack(3, startMs);
  fixture.lease.end("deadline", "too late", startMs);
  const ended = fixture.lease.record(startMs);
  act(fixture);
  expect(fixture.lease.record(startMs)).toEqual(ended);
  expect(fixture.onEnd).toHaveBeenCalledOnce();
});

test("a cancelled task waits for the node's word and bills what was done", () => {
  const { lease, delta, commit, onEnd } = leased();
  lease.ack(3, startMs);
  delta(0, { text: "a", tokenIds: [1] });
  lease.cancel(startMs + 1);
  expect(onEnd).not.toHaveBeenCalled();
  delta(1, { text: "b", tokenIds: [2] });
  expect(commit({ finishReason: "cancelled" })).toBeUndefined();
  expect(onEnd).toHaveBeenCalledOnce();
  expect(lease.record(startMs + 2)).toMatchObject({
    state: "cancelled",
    finishReason: null,
    promptTokens: 3,
    completionTokens: 2,
    attempts: [{ state: "rejected", reason: "cancelled" }],
  });
});

test("a node that does not answer a cancel is waited for five seconds and billed by what came", () => {
  const { lease, delta, onEnd } = leased();
  lease.ack(3, startMs);
  delta(0, { text: "a", tokenIds: [1] });
  lease.cancel(startMs);
  vi.advanceTimersByTime(4_999);
  expect(onEnd).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(onEnd).toHaveBeenCalledOnce();
  expect(lease.record(Date.now())).toMatchObject({ state: "cancelled", completionTokens: 1 });
});

test("an answer that was whole before the node heard of the cancel is cancelled all the same, and billed", () => {
  const { lease, delta, commit } = leased();
  lease.ack(3, startMs);
  delta(0, { text: "a", tokenIds: [1, 2] });
  lease.cancel(startMs);
  expect(commit()).toBeUndefined();
  expect(lease.record(startMs)).toMatchObject({ state: "cancelled", completionTokens: 2 });
});

test("a task cancelled before the ack never begins", async () => {
  const { lease } = leased();
  lease.cancel(startMs);
  expect(await lease.started).toMatchObject({ kind: "failed", reason: "cancelled" });
});

test("an answer that nobody reads any more says so", async () => {
  const { lease, onUnread } = leased();
  lease.ack(3, startMs);
  await lease.events.cancel();
  expect(onUnread).toHaveBeenCalledExactlyOnceWith(lease);
});

test("the record is written before the caller hears of the end", async () => {
  const { lease, delta, commit, onEnd } = leased();
  const order: string[] = [];
  onEnd.mockImplementation(() => order.push("recorded"));
  lease.ack(3, startMs);
  const read = eventsOf(lease).then(() => order.push("heard"));
  delta(0, { text: "a", tokenIds: [1, 2] });
  commit();
  await read;
  expect(order).toEqual(["recorded", "heard"]);
});
