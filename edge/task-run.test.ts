import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type AttemptId, accountIdSchema, keyIdSchema, type NodeId, nodeIdSchema } from "../core/ids.ts";
import type { AttemptEvent } from "../core/lease/attempt-event.ts";
import { modelCardSchema } from "../core/model/model-card.ts";
import type { TaskRecord } from "../core/record/entry.ts";
import { encodeAttemptEvents } from "./objects/attempt-stream.ts";
import type { AttachResult, RunRequest, RunResult } from "./objects/run.ts";
import type { NodeCalls, PoolCalls, TaskObjects } from "./task-objects.ts";
import { TaskRun } from "./task-run.ts";

const one = nodeIdSchema.parse("node_one0");
const two = nodeIdSchema.parse("node_two0");
const accountId = accountIdSchema.parse("abcd");
const card = modelCardSchema.parse({
  name: "model",
  fileSha256: "a".repeat(64),
  kind: "chat",
  sizeBytes: 1,
  quantization: "Q4_1",
  architecture: "llama",
  contextTokens: 2_048,
  slots: 1,
  tokensPerSecond: 10,
});

const piece = (seq: number): AttemptEvent => ({ type: "delta", seq, text: `<${seq}>`, tokenIds: [seq] });
const commit = (completionTokens: number): AttemptEvent => ({
  type: "committed",
  finishReason: "stop",
  promptTokens: 5,
  completionTokens,
});
const delivered = (seq: number) => ({ type: "deliver", text: `<${seq}>`, tokenIds: [seq] });
const end = (completionTokens: number) => ({ type: "end", finishReason: "stop", promptTokens: 5, completionTokens });

/** What a node tells, fed by the test. */
function telling() {
  let fed: ReadableByteStreamController | undefined;
  const cancelled = vi.fn();
  const events = new ReadableStream({
    type: "bytes",
    start: (controller) => {
      fed = controller;
    },
    cancel: cancelled,
  });
  return {
    accepted: (...early: AttemptEvent[]): RunResult & AttachResult => ({
      kind: "accepted",
      promptTokens: 5,
      early,
      events,
    }),
    tell: (...told: AttemptEvent[]) => fed?.enqueue(encodeAttemptEvents(told)),
    bytes: (bytes: Uint8Array) => fed?.enqueue(bytes),
    stop: () => fed?.close(),
    break: () => fed?.error(new Error("the object was reset")),
    cancelled,
  };
}

/** A task whose objects answer as the test has it. All that it gave to `waitUntil` is in `background`. */
function taskRun(answers: {
  claim?: PoolCalls["claim"];
  run?: (request: RunRequest, nodeId: NodeId) => Promise<RunResult>;
  attach?: NodeCalls["attach"];
  cancel?: NodeCalls["cancel"];
  isWhole?: boolean;
}) {
  const withdraw = vi.fn(async (_attemptId: AttemptId) => {});
  const recordTask = vi.fn(async (_task: TaskRecord) => {});
  const nodes = [one, two];
  const claim = vi.fn<PoolCalls["claim"]>(
    answers.claim ??
      (async ({ exclude }) => {
        const nodeId = nodes.shift();
        return nodeId === undefined || exclude.includes(nodeId)
          ? { kind: "refuse", code: "no_live_node" }
          : { kind: "lease", nodeId };
      }),
  );
  const run = vi.fn(answers.run ?? (async () => ({ kind: "offline" }) as const));
  const attach = vi.fn<NodeCalls["attach"]>(answers.attach ?? (async () => ({ kind: "unknown" })));
  const cancel = vi.fn<NodeCalls["cancel"]>(answers.cancel ?? (async () => true));
  const stubs = { pool: 0 };
  const objects: TaskObjects = {
    pool: () => {
      stubs.pool += 1;
      return { claim, withdraw };
    },
    node: (nodeId) => ({ run: (request) => run(request, nodeId), attach, cancel }),
    account: () => ({ recordTask }),
  };
  const background: Promise<unknown>[] = [];
  const caller = new AbortController();
  const task = new TaskRun({
    objects,
    principal: { accountId, keyId: keyIdSchema.parse(`key_${accountId}_one0`) },
    model: {
      card,
      id: "model",
      shards: 1,
      liveNodes: 2,
      slots: 2,
      freeSlots: 2,
      waiting: 0,
      atMs: 0,
      firstSeenAtMs: 0,
    },
    input: {
      kind: "chat",
      messages: [{ role: "user", content: "Hello" }],
      sampling: { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, seed: 1, stop: [], maxTokens: 9 },
    },
    affinity: "00ff00ff00ff00ff",
    isWhole: answers.isWhole ?? false,
    signal: caller.signal,
    waitUntil: (promise) => background.push(promise),
  });
  return { task, claim, withdraw, run, attach, cancel, recordTask, caller, background, stubs };
}

beforeEach(() => {
  vi.spyOn(console, "warn").mockReturnValue(undefined);
  vi.spyOn(console, "debug").mockReturnValue(undefined);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe("an answer", () => {
  test("that came whole takes one claim and one run, and no stream", async () => {
    const { task, claim, run, background } = taskRun({
      isWhole: true,
      run: async () => ({ kind: "accepted", promptTokens: 5, early: [piece(0), piece(1), commit(2)], events: null }),
    });
    await task.begin();
    expect(await task.next()).toEqual([delivered(0), delivered(1), end(2)]);
    expect(await task.next()).toEqual([]);
    expect([claim.mock.calls.length, run.mock.calls.length, background.length]).toEqual([1, 1, 0]);
    expect(run.mock.calls[0]?.[0]).toMatchObject({ isWhole: true, continues: [], priorAttempts: [] });
    expect(task.nodeIds).toEqual([one]);
  });

  test("that is told is given as it comes, all that is there at once", async () => {
    const node = telling();
    const { task } = taskRun({ run: async () => node.accepted(piece(0)) });
    await task.begin();
    expect(task.ready()).toEqual([delivered(0)]);
    expect(task.ready()).toEqual([]);
    node.tell(piece(1), piece(2));
    expect(await task.next()).toEqual([delivered(1), delivered(2)]);
    node.tell(piece(3), commit(4));
    expect(await task.next()).toEqual([delivered(3), end(4)]);
    expect(await task.next()).toEqual([]);
  });

  test("is read right wherever its bytes are cut", async () => {
    const node = telling();
    const { task } = taskRun({ run: async () => node.accepted() });
    await task.begin();
    const text = "ä€𝄞";
    const bytes = encodeAttemptEvents([{ type: "delta", seq: 0, text, tokenIds: [0] }, commit(1)]);
    for (const byte of bytes) node.bytes(Uint8Array.of(byte));
    expect(await task.next()).toEqual([{ type: "deliver", text, tokenIds: [0] }]);
    expect(await task.next()).toEqual([end(1)]);
  });

  test.each<[how: string, act: (node: ReturnType<typeof telling>) => void]>([
    ["stops without an end", (node) => node.stop()],
    ["breaks", (node) => node.break()],
    ["skips a piece", (node) => node.tell(piece(2))],
  ])("whose telling %s is told on by the same node's object", async (_how, act) => {
    const [first, second] = [telling(), telling()];
    const { task, attach, run } = taskRun({
      run: async () => first.accepted(piece(0)),
      attach: async () => second.accepted(piece(1)),
    });
    await task.begin();
    task.ready();
    act(first);
    expect(await task.next()).toEqual([delivered(1)]);
    expect(attach).toHaveBeenCalledWith(expect.objectContaining({ nextSeq: 1, completionTokens: 1, isWhole: false }));
    second.tell(commit(2));
    expect(await task.next()).toEqual([end(2)]);
    expect(run).toHaveBeenCalledOnce();
  });

  test("goes on at another node where the first is lost, and names both", async () => {
    const node = telling();
    const { task, run } = taskRun({
      run: async ({ continues }) =>
        continues.length === 0
          ? node.accepted(piece(0), piece(1))
          : { kind: "accepted", promptTokens: 5, early: [piece(0), commit(1)], events: null },
    });
    await task.begin();
    expect(task.ready()).toEqual([delivered(0), delivered(1)]);
    node.tell({ type: "failed", how: "socketGone", reason: "gone" });
    expect(await task.next()).toEqual([delivered(0), end(3)]);
    expect(run.mock.calls[1]?.[0]).toMatchObject({
      continues: [0, 1],
      priorAttempts: [{ nodeId: one, state: "lost", completionTokens: 2 }],
    });
    expect(task.nodeIds).toEqual([one, two]);
    expect(node.cancelled).toHaveBeenCalledOnce();
  });
});

describe("a refusal", () => {
  test("is thrown before the answer begins, and its end is on record", async () => {
    const { task, recordTask } = taskRun({ claim: async () => ({ kind: "refuse", code: "no_live_node" }) });
    await expect(task.begin()).rejects.toMatchObject({ code: "no_live_node" });
    expect(recordTask.mock.calls[0]?.[0]).toMatchObject({ state: "failed", errorCode: "no_live_node", accountId });
  });

  test("brings the node's numbers", async () => {
    const fault = {
      code: "context_length_exceeded",
      promptTokens: 3_000,
      contextTokens: 2_048,
      inputIndex: 0,
    } as const;
    const { task } = taskRun({ run: async () => ({ kind: "refused", fault }) });
    await expect(task.begin()).rejects.toMatchObject({ param: "messages", message: expect.stringContaining("3000") });
  });

  test("in the middle comes after what was told before it", async () => {
    vi.useFakeTimers();
    const node = telling();
    const { task } = taskRun({
      claim: vi
        .fn<PoolCalls["claim"]>(async () => {
          vi.setSystemTime(Date.now() + 60_000);
          return { kind: "refuse", code: "no_free_node" };
        })
        .mockImplementationOnce(async () => ({ kind: "lease", nodeId: one })),
      run: async () => node.accepted(piece(0)),
    });
    await task.begin();
    node.tell(piece(1), { type: "failed", how: "socketGone", reason: "gone" });
    expect(await task.next()).toEqual([delivered(0)]);
    expect(await task.next()).toEqual([delivered(1)]);
    await expect(task.next()).rejects.toMatchObject({ code: "stream_broken" });
  });

  test("whose record an account's object did not take at first is recorded after all", async () => {
    vi.useFakeTimers();
    const { task, recordTask, background } = taskRun({ claim: async () => ({ kind: "refuse", code: "queue_full" }) });
    recordTask.mockRejectedValueOnce(new Error("reset"));
    await expect(task.begin()).rejects.toMatchObject({ code: "queue_full" });
    await vi.runAllTimersAsync();
    await Promise.all(background);
    expect(recordTask).toHaveBeenCalledTimes(2);
  });
});

describe("a caller who leaves", () => {
  test("before the task began is not found a node", async () => {
    const { task, caller, claim } = taskRun({});
    caller.abort();
    await task.begin();
    expect(await task.next()).toEqual([]);
    expect(claim).not.toHaveBeenCalled();
  });

  test("while a claim waits takes it back, and a lease that comes all the same", async () => {
    const { promise, resolve } = Promise.withResolvers<Awaited<ReturnType<PoolCalls["claim"]>>>();
    const { task, caller, withdraw, run, recordTask, background } = taskRun({ claim: () => promise });
    const begun = task.begin();
    caller.abort();
    expect(withdraw).toHaveBeenCalledTimes(1);
    resolve({ kind: "lease", nodeId: one });
    await begun;
    await Promise.all(background);
    expect(withdraw).toHaveBeenCalledTimes(2);
    expect(run).not.toHaveBeenCalled();
    expect(recordTask.mock.calls.map(([task]) => task.state)).toEqual(["cancelled"]);
  });

  test("while the task is handed over stops it, before and after it arrives", async () => {
    const node = telling();
    const { promise, resolve } = Promise.withResolvers<RunResult>();
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
    const { task, caller, cancel, recordTask, background } = taskRun({
      run: () => {
        ask();
        return promise;
      },
      cancel: vi.fn<NodeCalls["cancel"]>(async () => true).mockResolvedValueOnce(false),
    });
    const begun = task.begin();
    await asked;
    caller.abort();
    await Promise.all(background.slice(0, 1));
    resolve(node.accepted(piece(0)));
    await begun;
    await Promise.all(background);
    expect(cancel).toHaveBeenCalledTimes(2);
    expect(recordTask).not.toHaveBeenCalled();
    expect(node.cancelled).toHaveBeenCalledOnce();
    expect(await task.next()).toEqual([]);
  });

  test("in the middle of the answer stops the node, and who waits for more is let go", async () => {
    const node = telling();
    const { task, cancel, recordTask, background } = taskRun({ run: async () => node.accepted(piece(0)) });
    await task.begin();
    task.ready();
    const next = task.next();
    task.cancel();
    expect(await next).toEqual([]);
    await Promise.all(background);
    expect(cancel).toHaveBeenCalledOnce();
    expect(node.cancelled).toHaveBeenCalledOnce();
    expect(recordTask).not.toHaveBeenCalled();
  });

  test("while the node's object is reset has the node stopped all the same", async () => {
    vi.useFakeTimers();
    const node = telling();
    const { task, cancel, background } = taskRun({
      run: async () => node.accepted(piece(0)),
      cancel: vi.fn<NodeCalls["cancel"]>(async () => true).mockRejectedValueOnce(new Error("reset")),
    });
    await task.begin();
    task.cancel();
    await vi.runAllTimersAsync();
    await Promise.all(background);
    expect(cancel).toHaveBeenCalledTimes(2);
  });

  test("after the end changes nothing", async () => {
    const { task, caller, cancel, recordTask, background } = taskRun({
      run: async () => ({ kind: "accepted", promptTokens: 5, early: [commit(0)], events: null }),
    });
    await task.begin();
    caller.abort();
    expect([cancel.mock.calls.length, recordTask.mock.calls.length, background.length]).toEqual([0, 0, 0]);
    expect(await task.next()).toEqual([end(0)]);
  });
});

test("a pool that broke down under a claim is asked again by a stub of its own", async () => {
  vi.useFakeTimers();
  const { task, claim, stubs, withdraw } = taskRun({
    run: async () => ({ kind: "accepted", promptTokens: 5, early: [commit(0)], events: null }),
  });
  claim.mockRejectedValueOnce(new Error("the pool was reset"));
  const begun = task.begin();
  await vi.runAllTimersAsync();
  await begun;
  expect(claim).toHaveBeenCalledTimes(2);
  expect(withdraw).toHaveBeenCalledTimes(1);
  expect(stubs.pool).toBe(2);
});
