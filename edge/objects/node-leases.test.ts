import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { z } from "zod";
import { type AttemptId, attemptIdSchema } from "../../core/ids.ts";
import type { AttemptEvent } from "../../core/lease/attempt-event.ts";
import { limits } from "../../core/limits.ts";
import type { TaskRecord } from "../../core/record/entry.ts";
import { heldAs } from "../../core/testing/lease-scene.ts";
import { toyNodeId, toyStartMs, toyTask } from "../../core/testing/toy-terms.ts";
import type { HeldAttempt, NodeFrame } from "../../core/wire/node-frame.ts";
import type { RouterFrame } from "../../core/wire/router-frame.ts";
import { TellingReader } from "../telling-reader.ts";
import { NodeLeases } from "./node-leases.ts";
import type { Ended } from "./outbox.ts";
import type { AttachRequest, AttachResult, RunRequest, RunResult } from "./run.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: toyStartMs });
});
afterEach(() => {
  vi.useRealTimers();
});

/** An outbox in memory: open leases as text, and how tasks ended. */
class FakeOutbox {
  readonly held = new Map<AttemptId, string>();
  readonly records: TaskRecord[] = [];

  hold(attemptId: AttemptId, lease: object): void {
    this.held.set(attemptId, JSON.stringify(lease));
  }

  release(ended: readonly Ended[], nowMs: number): number {
    for (const { attemptId, record } of ended) {
      this.held.delete(attemptId);
      this.records.push(record);
    }
    return nowMs + 500;
  }

  recover<Lease>(schema: z.ZodType<Lease>): { open: Lease[]; ended: [] } {
    return { open: [...this.held.values()].map((text) => schema.parse(JSON.parse(text))), ended: [] };
  }
}

const { attemptId } = toyTask().terms;

type Word = Extract<NodeFrame, { type: "ack" | "delta" | "commit" | "fail" }>;

/** A node's object around its leases: a socket that keeps what is sent, and an outbox that outlives the leases. */
class Scene {
  readonly outbox = new FakeOutbox();
  /** Each message that went to the node. */
  readonly messages: RouterFrame[][] = [];
  readonly onSilent = vi.fn();
  readonly onRecorded = vi.fn();
  readonly onFirstToken = vi.fn();
  hasSocket = true;
  isSilent = false;
  leases = this.make();

  make(): NodeLeases {
    const send = (frames: readonly RouterFrame[]) => {
      this.messages.push([...frames]);
    };
    const signAtMs = () => (this.isSilent ? 0 : Date.now());
    const { outbox, onSilent, onRecorded, onFirstToken } = this;
    const socket = () => (this.hasSocket ? { send, signAtMs } : undefined);
    return new NodeLeases({ nodeId: toyNodeId, outbox, socket, onSilent, onFirstToken, onRecorded });
  }

  run(fields: Partial<RunRequest> = {}) {
    const { terms, task } = toyTask();
    const { taskId, accountId, keyId, modelName, model, createdAtMs } = terms;
    const ids = { taskId, attemptId, accountId, keyId, modelName, model };
    const request = {
      ...ids,
      input: task.input,
      continues: [],
      isWhole: false,
      createdAtMs,
      priorAttempts: [],
      ...fields,
    };
    return this.leases.run(request, undefined);
  }

  attach(nextSeq: number, fields: Partial<AttachRequest> = {}) {
    return this.leases.attach({
      attemptId,
      isWhole: false,
      nextSeq,
      completionTokens: nextSeq,
      vectors: [],
      ...fields,
    });
  }

  /** One message of the node. */
  hear(...frames: Word[]): void {
    this.leases.during(() => {
      for (const frame of frames) this.leases.take(frame);
    });
  }

  welcome(held: Partial<HeldAttempt>): void {
    this.hasSocket = true;
    const { leases, perform } = this.leases.welcome([heldAs(attemptId, held)], Date.now());
    expect(leases).toHaveLength(1);
    perform();
  }

  /** The object's memory is gone, its timers and sockets with it. */
  reset(): void {
    vi.clearAllTimers();
    this.hasSocket = false;
    this.leases = this.make();
  }

  sent(): string[][] {
    return this.messages.map((frames) => frames.map(({ type }) => type));
  }
}

const ack = { type: "ack", attemptId, promptTokens: 3 } as const;
const delta = (seq: number): Word => ({ type: "delta", items: [{ attemptId, seq, text: "a", tokenIds: [1] }] });
const commit = (completionTokens: number) =>
  ({ type: "commit", attemptId, finishReason: "stop", promptTokens: 3, completionTokens }) as const;
const told = (seq: number): AttemptEvent => ({ type: "delta", seq, text: "a", tokenIds: [1] });
const committed = (completionTokens: number): AttemptEvent => ({
  type: "committed",
  finishReason: "stop",
  promptTokens: 3,
  completionTokens,
});

/** The telling of an answer that is not over. */
async function readerOf(result: Promise<RunResult | AttachResult>): Promise<TellingReader> {
  const telling = await result;
  if (telling.kind !== "accepted" || telling.events === null) throw new Error("no stream");
  expect(telling).toMatchObject({ promptTokens: 3, early: [] });
  return new TellingReader(telling.events);
}

/** Everything a telling has, to its end. */
async function rest(result: Promise<RunResult | AttachResult>): Promise<AttemptEvent[]> {
  const reader = await readerOf(result);
  const all: AttemptEvent[] = [];
  for (let events = await reader.next(); events !== undefined; events = await reader.next()) all.push(...events);
  return all;
}

/** A scene whose task was acked, and the reader of its answer. */
async function begun() {
  const scene = new Scene();
  const running = scene.run();
  scene.hear(ack);
  return { scene, reader: await readerOf(running) };
}

test("a short answer comes back as data, and its record is written after it", async () => {
  const scene = new Scene();
  const running = scene.run();
  scene.hear(ack, delta(0), commit(1));
  expect(scene.outbox.records).toEqual([]);
  const early = [told(0), committed(1)];
  expect(await running).toEqual({ kind: "accepted", promptTokens: 3, early, events: null });
  await vi.advanceTimersByTimeAsync(20);
  expect(scene.outbox.records).toMatchObject([{ state: "completed", completionTokens: 1 }]);
  expect(scene.onRecorded).toHaveBeenCalledExactlyOnceWith(toyStartMs + 500);
  expect(scene.onFirstToken).toHaveBeenCalledExactlyOnceWith(toyTask().terms.model, 0);
});

test("an attempt that came to nothing is on record before its reader hears of it and another node begins", async () => {
  const { scene } = await begun();
  await vi.advanceTimersByTimeAsync(50);
  expect(scene.outbox.held.size).toBe(1);
  scene.leases.socketLost(Date.now(), "gone");
  expect(scene.outbox.records).toMatchObject([{ state: "queued" }]);
  expect(scene.outbox.held.size).toBe(0);
});

test("a clock that is set forward does not put off what is due", async () => {
  const { scene } = await begun();
  await vi.advanceTimersByTimeAsync(50);
  vi.setSystemTime(Date.now() + 4_000);
  const other = attemptIdSchema.parse("attempt_other");
  void scene.run({ attemptId: other });
  await vi.advanceTimersByTimeAsync(50);
  expect([...scene.outbox.held.keys()]).toContain(other);
});

test("a longer one is read as it comes; what one message told arrives together", async () => {
  const { scene, reader } = await begun();
  scene.hear(delta(0), delta(1));
  expect(await reader.next()).toEqual([told(0), told(1)]);
  scene.hear(delta(2), commit(3));
  expect(await reader.next()).toEqual([told(2), committed(3)]);
  expect(await reader.next()).toBeUndefined();
});

test("a continued task goes out with the token ids that the caller has", async () => {
  const scene = new Scene();
  void scene.run({ continues: [7, 8] });
  expect(scene.messages).toMatchObject([[{ type: "task", continues: [7, 8] }]]);
});

test.each<[guarantee: string, act: (scene: Scene) => void, result: object]>([
  [
    "a node's no to the task itself is told as such",
    (scene) => scene.hear({ type: "fail", attemptId, reason: { code: "unsupported", message: "no" } }),
    { kind: "refused", fault: { code: "unsupported", message: "no" } },
  ],
  [
    "a node's no sends the task elsewhere",
    (scene) => scene.hear({ type: "fail", attemptId, reason: { code: "no_slot" } }),
    { kind: "failed", how: "refuse" },
  ],
  [
    "a node that does not ack has lost the task",
    () => vi.advanceTimersByTime(limits.ackMs),
    { kind: "failed", how: "deadline" },
  ],
  [
    "a socket lost before the ack loses the task",
    (scene) => scene.leases.socketLost(toyStartMs, "gone"),
    { kind: "failed", how: "socketGone" },
  ],
  [
    "a cancel before the ack loses the task",
    (scene) => scene.leases.cancel(attemptId),
    { kind: "failed", how: "refuse" },
  ],
])("%s", async (_guarantee, act, result) => {
  const scene = new Scene();
  const running = scene.run();
  act(scene);
  expect(await running).toMatchObject(result);
});

test("all frames of one turn go to the node as one message", () => {
  const scene = new Scene();
  scene.leases.during(() => {
    void scene.run();
    scene.leases.cancel(attemptId);
  });
  expect(scene.sent()).toEqual([["task", "cancel"]]);
});

test("frames for a socket that was lost within the turn go to no other", async () => {
  const { scene } = await begun();
  scene.leases.during(() => {
    // A gap: the node is told to stop. Then its socket is found to be gone.
    scene.leases.take(delta(1));
    scene.hasSocket = false;
    scene.leases.socketLost(Date.now(), "gone");
  });
  scene.hasSocket = true;
  scene.leases.during(() => {});
  expect(scene.sent()).toEqual([["task"]]);
});

test("a lease that runs is held in storage, and nothing is flushed for that", async () => {
  const { scene } = await begun();
  await vi.advanceTimersByTimeAsync(100);
  expect(scene.outbox.held.size).toBe(1);
  expect(scene.onRecorded).not.toHaveBeenCalled();
  scene.hear(delta(0), commit(1));
  await vi.advanceTimersByTimeAsync(20);
  expect(scene.outbox.held.size).toBe(0);
  expect(scene.onRecorded).toHaveBeenCalledOnce();
});

test("a reader that leaves without a word is waited for, then its node is told to stop", async () => {
  const { scene, reader } = await begun();
  reader.cancel();
  await vi.advanceTimersByTimeAsync(limits.reattachMs - 1);
  expect(scene.sent()).toEqual([["task"]]);
  await vi.advanceTimersByTimeAsync(1);
  expect(scene.sent()).toEqual([["task"], ["cancel"]]);
});

test("a node that gives no sign is told of once, and what it had not begun is lost", async () => {
  const { scene, reader } = await begun();
  scene.isSilent = true;
  await vi.advanceTimersByTimeAsync(limits.busySilenceMs);
  expect(scene.onSilent).toHaveBeenCalledOnce();
  expect(await reader.next()).toMatchObject([{ type: "failed", how: "socketGone" }]);
});

describe("a Worker that comes back", () => {
  test("goes on where it was; its broken telling ends without an end", async () => {
    const { scene, reader } = await begun();
    scene.hear(delta(0), delta(1));
    const attaching = scene.attach(1);
    expect(scene.sent()).toEqual([["task"], ["resume"]]);
    scene.hear(ack, delta(1), delta(2), commit(3));
    expect(await rest(attaching)).toEqual([told(1), told(2), committed(3)]);
    expect(await reader.next()).toEqual([told(0), told(1)]);
    expect(await reader.next()).toBeUndefined();
  });

  test("before the ack waits for it", async () => {
    const scene = new Scene();
    const running = scene.run();
    const attaching = scene.attach(0);
    expect(await running).toMatchObject({ kind: "failed", how: "socketGone" });
    scene.hear(ack);
    const result = await attaching;
    expect(result).toMatchObject({ kind: "accepted", promptTokens: 3, early: [] });
  });

  test("before a refusal is told that the attempt failed", async () => {
    const scene = new Scene();
    void scene.run();
    const attaching = scene.attach(0);
    scene.hear({ type: "fail", attemptId, reason: { code: "unsupported", message: "no" } });
    const result = await attaching;
    expect(result).toMatchObject({
      kind: "accepted",
      promptTokens: 0,
      early: [{ type: "failed", how: "refuse" }],
      events: null,
    });
  });

  test("for an ended attempt is given the end", async () => {
    const { scene } = await begun();
    scene.hear(delta(0), commit(1));
    expect(await scene.attach(1)).toEqual({ kind: "accepted", promptTokens: 3, early: [committed(1)], events: null });
  });

  test("for an attempt that nobody knows is told so", async () => {
    expect(await new Scene().attach(0)).toEqual({ kind: "unknown" });
  });

  test("for a whole answer hears nothing before its end", async () => {
    const scene = new Scene();
    const running = scene.run({ isWhole: true });
    scene.hear(ack, delta(0));
    const attaching = scene.attach(0, { isWhole: true });
    expect(await running).toEqual({ kind: "accepted", promptTokens: 3, early: [told(0)], events: null });
    scene.hear(ack, delta(0), delta(1));
    scene.hear(commit(2));
    expect(await attaching).toMatchObject({ early: [told(0), told(1), committed(2)], events: null });
  });
});

describe("after a reset", () => {
  async function resetWhile(act: (scene: Scene) => void): Promise<Scene> {
    const { scene } = await begun();
    act(scene);
    await vi.advanceTimersByTimeAsync(100);
    scene.reset();
    return scene;
  }

  test("a lease goes on for the reader that comes back, on the socket that comes back", async () => {
    const scene = await resetWhile((it) => it.hear(delta(0), delta(1)));
    const attaching = scene.attach(1);
    scene.welcome({ nextSeq: 2, completionTokens: 2 });
    scene.hear(ack, delta(1), delta(2), commit(3));
    expect(await rest(attaching)).toEqual([told(1), told(2), committed(3)]);
    await vi.advanceTimersByTimeAsync(20);
    expect(scene.outbox.records).toMatchObject([{ state: "completed", completionTokens: 3 }]);
  });

  test("one that nobody comes back for ends as failed, by a timer that nobody had to set", async () => {
    const scene = await resetWhile((it) => it.hear(delta(0)));
    await vi.advanceTimersByTimeAsync(limits.leaseGraceMs + 20);
    expect(scene.outbox.records).toMatchObject([{ state: "failed", errorCode: "stream_broken" }]);
    expect(scene.leases.size).toBe(0);
  });
});

describe("acks", () => {
  const acks = (scene: Scene) => scene.messages.flat().filter(({ type }) => type === "acked");

  test("cover what its reader has read", async () => {
    const { scene, reader } = await begun();
    scene.hear(delta(0), delta(1));
    await reader.next();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(acks(scene)).toEqual([{ type: "acked", items: [{ attemptId, nextSeq: 2 }], over: [] }]);
  });

  test("cover nothing of what its reader has left unread", async () => {
    const { scene } = await begun();
    scene.hear(delta(0));
    await vi.advanceTimersByTimeAsync(30_000);
    expect(acks(scene)).toEqual([]);
  });

  test("cover nothing of a whole answer before its end", async () => {
    const scene = new Scene();
    void scene.run({ isWhole: true });
    scene.hear(ack, delta(0));
    await vi.advanceTimersByTimeAsync(30_000);
    expect(acks(scene)).toEqual([]);
    scene.hear(commit(1));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(acks(scene)).toEqual([{ type: "acked", items: [], over: [attemptId] }]);
  });
});

test("leases that are over leave no timer behind, so that their object may sleep", async () => {
  const { scene } = await begun();
  scene.hear(delta(0), commit(1));
  await vi.advanceTimersByTimeAsync(10_000);
  expect(vi.getTimerCount()).toBe(0);
  expect(new Scene().leases.size).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});
