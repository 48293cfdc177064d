import { describe, expect, test } from "vitest";
import { attemptIdSchema } from "../ids.ts";
import { limits } from "../limits.ts";
import { taskRecordSchema } from "../record/entry.ts";
import {
  type Act,
  ack,
  attach,
  back,
  cancel,
  commit,
  detach,
  fail,
  logOf,
  lost,
  piece,
  reset,
  sceneOf,
  silent,
  stopped,
  wait,
} from "../testing/lease-acts.ts";
import { LeaseScene } from "../testing/lease-scene.ts";
import { toyStartMs } from "../testing/toy-terms.ts";
import type { FailReason } from "../wire/node-frame.ts";
import { keptLeaseSchema, type LeaseTerms } from "./lease.ts";
import type { LeaseEffect, Start } from "./lease-effect.ts";

const embedding: Partial<LeaseTerms> = { kind: "embedding", inputs: 2, dimensions: 1 };
const check: Partial<LeaseTerms> = { kind: "check" };
const report = { findings: [], isTextOfTokens: true, isEndRight: true };
const reports: Act = (scene) => scene.delta(0, { report });
const reportsAgain: Act = (scene) => scene.delta(1, { report });
const one = { index: 0, float32: "AACAPw==" };
const two = { index: 1, float32: "AACAPw==" };

describe("an answer", () => {
  test("goes through as it comes, and its end is on record before it is told", () => {
    expect(logOf([ack, piece(0), piece(1), commit(2)])).toEqual([
      "0 start acked",
      "0 tell 0",
      "0 tell 1",
      "0 record completed",
      "0 tell committed",
    ]);
  });

  test("is told piece by piece as the node sent it, without the attempt's name", () => {
    const scene = sceneOf([ack]);
    const { attemptId } = scene;
    const effects = scene.book.delta({ attemptId, seq: 0, text: "é", tokenIds: [1, 2] }, scene.nowMs);
    const event = { type: "delta", seq: 0, text: "é", tokenIds: [1, 2] };
    expect(effects).toEqual([{ type: "tell", attemptId, event }]);
  });

  test("bills what was committed, with the tokens that earlier attempts made", () => {
    const { records, nowMs } = sceneOf([wait(5), ack, piece(0, 2), wait(5), commit(2, { finishReason: "length" })], {
      continuedTokens: 40,
    });
    expect(taskRecordSchema.parse(records[0])).toEqual(records[0]);
    expect(records).toMatchObject([
      {
        state: "completed",
        finishReason: "length",
        errorCode: null,
        promptTokens: 3,
        completionTokens: 42,
        createdAtMs: toyStartMs - 10,
        endedAtMs: nowMs,
        attempts: [
          {
            state: "committed",
            reason: null,
            completionTokens: 2,
            ackedAtMs: toyStartMs + 5,
            firstTokenAtMs: toyStartMs + 5,
          },
        ],
      },
    ]);
  });

  test("of vectors may bring them in any order and any number of pieces", () => {
    const acts: Act[] = [(scene) => scene.delta(0, { vectors: [two] }), (scene) => scene.delta(1, { vectors: [one] })];
    expect(logOf([ack, ...acts, commit(0)], embedding).slice(-2)).toEqual(["0 record completed", "0 tell committed"]);
  });
});

const gives =
  (...vectors: (typeof one)[]): Act =>
  (scene) =>
    scene.delta(0, { vectors });

test.each<[guarantee: string, fields: Partial<LeaseTerms>, acts: Act[], problem: RegExp]>([
  ["a delta before the ack", {}, [piece(0)], /^protocol: delta in state assigned$/],
  ["a delta that skips one", {}, [ack, piece(1)], /^protocol: delta 1 .* 0 was due$/],
  ["a commit without an ack", {}, [commit(0, { promptTokens: 0 })], /^protocol: commit in state assigned$/],
  ["a commit of more tokens than came", {}, [ack, piece(0), commit(2)], /commit of 2 tokens after deltas of 1$/],
  ["a commit of fewer tokens than came", {}, [ack, piece(0, 3), commit(2)], /commit of 2 tokens after deltas of 3$/],
  [
    "a commit of another prompt than was acked",
    {},
    [(scene) => scene.ack(4), piece(0), commit(1)],
    /commit of 3 prompt tokens after an ack of 4$/,
  ],
  ["giving up what nobody cancelled", {}, [ack, stopped], /a task that nobody cancelled was given up$/],
  ["a vector in an answer of text", {}, [ack, gives(one)], /a vector for input 0 .* never asked for$/],
  ["a vector for an input that is not there", embedding, [ack, gives({ ...one, index: 2 })], /a vector for input 2/],
  ["a vector that comes twice", embedding, [ack, gives(one, one)], /a vector for input 0 came twice/],
  ["a vector too long", embedding, [ack, gives({ ...one, float32: "AACAPwAAgD8=" })], /of 2 numbers where 1 were due$/],
  ["a vector of half a number", embedding, [ack, gives({ ...one, float32: "AAA=" })], /of 0\.5 numbers/],
  ["an empty vector", embedding, [ack, gives({ ...one, float32: "" })], /of 0 numbers/],
  ["a commit with a vector missing", embedding, [ack, gives(one), commit(0)], /commit with 1 vectors missing$/],
  [
    "more tokens than were asked for, with those before it",
    { maxTokens: 43, continuedTokens: 40 },
    [ack, piece(0, 4)],
    /more than the 43 tokens/,
  ],
  ["a report that nobody asked for", {}, [ack, reports], /a report came twice or was never asked for$/],
  ["a report that comes twice", check, [ack, reports, reportsAgain], /a report came twice/],
  ["a check without its report", check, [ack, commit(0)], /commit of a check without its report$/],
  ["a delta that skips one after a cancel", {}, [ack, cancel, piece(1)], /delta 1 .* 0 was due$/],
  ["other counts after a cancel than came", {}, [ack, piece(0), cancel, commit(9)], /commit of 9 tokens .* of 1$/],
])("%s is a broken protocol: the node stops, and nothing before was wrong", (_guarantee, fields, acts, problem) => {
  const before = sceneOf(acts.slice(0, -1), fields);
  expect(before.records).toEqual([]);
  const scene = sceneOf(acts, fields);
  expect(scene.sent.at(-1)).toEqual({ type: "cancel", attemptId: scene.attemptId });
  expect(scene.records[0]?.attempts.at(-1)).toMatchObject({
    state: "rejected",
    reason: expect.stringMatching(problem),
  });
  expect(scene.log.at(-1)).toBe("0 tell failed refuse");
  expect(scene.book.size).toBe(0);
});

test.each<[guarantee: string, acts: Act[], log: string[]]>([
  ["a doubled ack", [ack, ack], ["0 start acked"]],
  ["an ack of another count", [ack, (scene) => scene.ack(9)], ["0 start acked"]],
  ["a doubled delta", [ack, piece(0), piece(0), piece(0, 5)], ["0 start acked", "0 tell 0"]],
  ["an old delta", [ack, piece(0), piece(1), piece(0)], ["0 start acked", "0 tell 0", "0 tell 1"]],
])("%s changes nothing", (_guarantee, acts, log) => {
  expect(logOf(acts)).toEqual(log);
  // The counts are as they were, too: they fit those of the commit.
  const tokens = log.filter((line) => line.includes("tell")).length;
  expect(logOf([...acts, commit(tokens)]).slice(log.length)).toEqual(["0 record completed", "0 tell committed"]);
});

test.each<[guarantee: string, act: Act]>([
  ["a doubled commit", commit(1)],
  ["a late ack", ack],
  ["a late delta", piece(1)],
  ["a fail", fail({ code: "no_slot" })],
  ["a lost socket", lost],
  ["a node that comes back", back(undefined)],
  ["a reader that leaves", detach],
  ["a cancel", cancel],
  ["time", wait(300_000)],
])("after the end %s changes nothing", (_guarantee, act) => {
  for (const end of [commit(1), fail({ code: "no_slot" })]) {
    const ended = [ack, piece(0), end];
    expect(logOf([...ended, act])).toEqual(logOf(ended));
  }
});

describe("of an attempt that nobody knows", () => {
  const attemptId = attemptIdSchema.parse("attempt_none");
  test.each<[what: string, act: (scene: LeaseScene) => unknown, nothing: unknown]>([
    ["an ack", ({ book }) => book.ack(attemptId, 3, 0), []],
    ["a delta", ({ book }) => book.delta({ attemptId, seq: 0 }, 0), []],
    ["a fail", ({ book }) => book.fail(attemptId, { code: "no_slot" }, 0), []],
    ["a cancel", ({ book }) => book.cancel(attemptId, 0), { isKnown: false, effects: [] }],
    [
      "a reader",
      ({ book }) => book.attach({ attemptId, nextSeq: 0, completionTokens: 0, vectors: [] }, 0),
      { attached: { kind: "unknown" }, effects: [] },
    ],
  ])("%s is of no effect", (_what, act, nothing) => {
    expect(act(new LeaseScene())).toEqual(nothing);
  });
});

describe("a node's no", () => {
  const tooLong: FailReason = { code: "context_length_exceeded", promptTokens: 9, contextTokens: 8, inputIndex: 0 };
  const elsewhere: Start = { kind: "failed", how: "refuse", reason: expect.any(String) };
  test.each<[guarantee: string, reason: FailReason, start: Start]>([
    ["without a slot leaves the task to others", { code: "no_slot" }, elsewhere],
    ["while it drains leaves the task to others", { code: "draining" }, elsewhere],
    ["without the model leaves the task to others", { code: "unknown_model" }, elsewhere],
    [
      "by an engine's error leaves the task to others",
      { code: "engine_error", message: "out of memory" },
      { ...elsewhere, reason: "engine_error: out of memory" },
    ],
    ["to a prompt that does not fit is the task's own fault", tooLong, { kind: "refused", fault: tooLong }],
    [
      "to what the model cannot do is the task's own fault",
      { code: "unsupported", message: "no" },
      { kind: "refused", fault: { code: "unsupported", message: "no" } },
    ],
    [
      "to pieces that are gone is a node lost, not one that refuses",
      { code: "lost_pieces" },
      { ...elsewhere, how: "socketGone" },
    ],
  ])("%s", (_guarantee, reason, start) => {
    const { book, attemptId, nowMs } = new LeaseScene();
    const effects: LeaseEffect[] = book.fail(attemptId, reason, nowMs);
    expect(effects.filter(({ type }) => type === "start")).toEqual([{ type: "start", attemptId, start }]);
    expect(effects.at(-1)).toMatchObject({ type: "tell", event: { type: "failed" } });
    expect(book.size).toBe(0);
  });

  test("leaves the task open, with what came in the attempt and nothing billed", () => {
    const { records } = sceneOf([ack, piece(0), fail({ code: "engine_error", message: "x".repeat(500) })]);
    expect(records).toMatchObject([
      { state: "queued", promptTokens: 0, completionTokens: 0, attempts: [{ state: "rejected", completionTokens: 1 }] },
    ]);
    expect(taskRecordSchema.safeParse(records[0]).success).toBe(true);
  });
});

describe("deadlines", () => {
  test.each<[guarantee: string, acts: Act[], log: string[]]>([
    [
      "a node that does not ack within 5 s has lost the task",
      [wait(10_000)],
      ["5000 start failed deadline", "5000 send cancel", "5000 record queued", "5000 tell failed deadline"],
    ],
    ["a node that acks at the last moment has not", [wait(4_999), ack, wait(10_000)], ["4999 start acked"]],
    [
      "a node that is silent for 120 s has lost the task",
      [ack, wait(130_000)],
      ["0 start acked", "120000 send cancel", "120000 record queued", "120000 tell failed deadline"],
    ],
    [
      "each word gives it the whole time again",
      [ack, wait(119_999), piece(0), wait(119_999), piece(1), wait(1_000)],
      ["0 start acked", "119999 tell 0", "239998 tell 1"],
    ],
    [
      "a socket lost while a reader waits is waited for 2 s",
      [ack, piece(0), lost, wait(5_000)],
      ["0 start acked", "0 tell 0", "2000 record queued", "2000 tell failed socketGone"],
    ],
    [
      "a socket lost before the first piece is not waited for",
      [ack, wait(50), lost],
      ["0 start acked", "50 record queued", "50 tell failed socketGone"],
    ],
    [
      "a socket lost before the ack is not waited for",
      [wait(50), lost],
      ["50 start failed socketGone", "50 record queued", "50 tell failed socketGone"],
    ],
    [
      "a socket lost while nobody reads is waited for as long as the reader",
      [ack, piece(0), wait(50), detach, lost, wait(20_000)],
      ["0 start acked", "0 tell 0", "5050 record cancelled", "5050 tell failed refuse"],
    ],
    [
      "before the first piece, too",
      [ack, wait(50), detach, lost, wait(20_000)],
      ["0 start acked", "5050 record cancelled", "5050 tell failed refuse"],
    ],
    [
      "a reader that is gone for 5 s is gone for good: the node stops and says what it had",
      [ack, piece(0), detach, wait(6_000), commit(1, { finishReason: "cancelled" })],
      ["0 start acked", "0 tell 0", "5000 send cancel", "6000 record cancelled", "6000 tell failed refuse"],
    ],
    [
      "a reader that is gone twice has its 5 s from the first time",
      [ack, piece(0), detach, wait(3_000), detach, wait(3_000)],
      ["0 start acked", "0 tell 0", "5000 send cancel"],
    ],
    [
      "a reader that comes back within 5 s has the rest",
      [ack, piece(0), detach, wait(4_999), attach(1), piece(1), wait(10_000)],
      ["0 start acked", "0 tell 0", "4999 attached open", "4999 hangUp", "4999 tell 1"],
    ],
    [
      "an answer that ends while nobody reads is whole",
      [ack, piece(0), detach, wait(1_000), piece(1), commit(2)],
      ["0 start acked", "0 tell 0", "1000 tell 1", "1000 record completed", "1000 tell committed"],
    ],
  ])("%s", (_guarantee, acts, log) => {
    expect(logOf(acts)).toEqual(log);
  });
});

describe("a cancel", () => {
  test.each<[guarantee: string, acts: Act[], log: string[]]>([
    [
      "waits for the node's word",
      [ack, piece(0), cancel, wait(100), piece(1), commit(2, { finishReason: "cancelled" })],
      ["0 start acked", "0 tell 0", "0 send cancel", "100 record cancelled", "100 tell failed refuse"],
    ],
    [
      "that the node does not answer within 5 s ends without its word",
      [ack, piece(0), cancel, wait(60_000)],
      ["0 start acked", "0 tell 0", "0 send cancel", "5000 record cancelled", "5000 tell failed refuse"],
    ],
    ["is sent once", [ack, cancel, cancel], ["0 start acked", "0 send cancel"]],
    ["before the ack means that the task never begins", [cancel], ["0 start failed refuse", "0 send cancel"]],
    [
      "that crosses the ack tells nobody that the task begins",
      [cancel, ack, stopped],
      ["0 start failed refuse", "0 send cancel", "0 record cancelled", "0 tell failed refuse"],
    ],
    [
      "that crosses a refusal tells nobody of it",
      [cancel, fail({ code: "unsupported", message: "no" })],
      ["0 start failed refuse", "0 send cancel", "0 record cancelled", "0 tell failed refuse"],
    ],
    [
      "whose node loses its socket ends with what came",
      [ack, piece(0), cancel, wait(50), lost, wait(50)],
      ["0 start acked", "0 tell 0", "0 send cancel", "50 record cancelled", "50 tell failed refuse"],
    ],
    [
      "while the socket is away ends with what came, and nothing is sent",
      [ack, piece(0), wait(50), lost, wait(50), cancel, wait(50)],
      ["0 start acked", "0 tell 0", "100 record cancelled", "100 tell failed refuse"],
    ],
    [
      "after which the node comes back without the attempt ends with what came",
      [ack, piece(0), cancel, lost, back(undefined)],
      ["0 start acked", "0 tell 0", "0 send cancel", "0 record cancelled", "0 tell failed refuse"],
    ],
    [
      "on whose way the node changed sockets is sent again, and answered by the node's own count",
      [ack, piece(0), cancel, back({ nextSeq: 3, completionTokens: 3 }), commit(3, { finishReason: "cancelled" })],
      [
        "0 start acked",
        "0 tell 0",
        "0 send cancel",
        "0 welcome null",
        "0 send cancel",
        "0 record cancelled",
        "0 tell failed refuse",
      ],
    ],
  ])("%s", (_guarantee, acts, log) => {
    expect(logOf(acts)).toEqual(log);
  });

  test.each<[guarantee: string, acts: Act[], bill: { promptTokens: number; completionTokens: number }]>([
    [
      "what the node had done",
      [ack, piece(0), cancel, piece(1), commit(2, { finishReason: "cancelled" })],
      { promptTokens: 3, completionTokens: 2 },
    ],
    [
      "what came, where the node says nothing",
      [ack, piece(0), cancel, piece(1), wait(5_000)],
      { promptTokens: 3, completionTokens: 2 },
    ],
    [
      "what came, where the node says more",
      [ack, piece(0), cancel, commit(900)],
      { promptTokens: 3, completionTokens: 1 },
    ],
    [
      "a whole answer that the node had sent before it heard",
      [ack, piece(0, 2), cancel, commit(2)],
      { promptTokens: 3, completionTokens: 2 },
    ],
    ["nothing, where nothing was begun", [cancel, wait(5_000)], { promptTokens: 0, completionTokens: 0 }],
  ])("bills %s", (_guarantee, acts, bill) => {
    const { records } = sceneOf(acts);
    expect(records).toMatchObject([
      { state: "cancelled", finishReason: null, errorCode: null, ...bill, attempts: [{ state: "rejected" }] },
    ]);
  });

  test("with tokens of earlier attempts bills these too", () => {
    const { records } = sceneOf([ack, piece(0), cancel, wait(5_000)], { continuedTokens: 10 });
    expect(records).toMatchObject([{ state: "cancelled", completionTokens: 11 }]);
  });

  test("may leave vectors unsent", () => {
    const { records } = sceneOf([ack, gives(one), cancel, commit(0, { finishReason: "cancelled" })], embedding);
    expect(records[0]?.attempts).toMatchObject([{ state: "rejected", reason: "cancelled" }]);
  });

  test.each<[guarantee: string, acts: Act[], isKnown: boolean]>([
    ["of an open lease is recorded here", [ack], true],
    ["said again is recorded here all the same", [ack, cancel], true],
    ["of an ended attempt is somebody else's to record", [ack, piece(0), commit(1)], false],
    [
      "of an attempt whose end is told again is somebody else's to record",
      [ack, piece(0), commit(1), attach(0)],
      false,
    ],
  ])("%s", (_guarantee, acts, isKnown) => {
    expect(sceneOf(acts).cancel()).toBe(isKnown);
  });
});

describe("the half-open socket", () => {
  test.each<[guarantee: string, acts: Act[], log: string[]]>([
    [
      "3 s without a sign: what had not begun is free at once",
      [ack, silent, wait(10_000)],
      ["0 start acked", "3000 dropSocket", "3000 record queued", "3000 tell failed socketGone"],
    ],
    [
      "the 2 s of what had begun count from the last sign, and are over by then",
      [ack, piece(0), silent, wait(10_000)],
      ["0 start acked", "0 tell 0", "3000 dropSocket", "3000 record queued", "3000 tell failed socketGone"],
    ],
    [
      "what nobody reads waits on for its reader",
      [ack, piece(0), detach, silent, wait(4_000)],
      ["0 start acked", "0 tell 0", "3000 dropSocket"],
    ],
    [
      "a sign within the time is enough",
      [ack, silent, wait(2_999), (scene) => scene.setSilent(false), wait(60_000)],
      ["0 start acked"],
    ],
    [
      "a node that is told to stop owes signs as well",
      [ack, piece(0), cancel, silent, wait(3_500)],
      [
        "0 start acked",
        "0 tell 0",
        "0 send cancel",
        "3000 dropSocket",
        "3000 record cancelled",
        "3000 tell failed refuse",
      ],
    ],
    [
      "a node that has nothing to do owes none",
      [ack, piece(0), commit(1), silent, wait(60_000)],
      ["0 start acked", "0 tell 0", "0 record completed", "0 tell committed"],
    ],
    [
      "nor one that has done all it was given, while a reader is waited for",
      [ack, wait(20), reset, back({ nextSeq: 1, completionTokens: 1, isOver: true }), silent, wait(4_500)],
      ["0 start acked", "20 welcome null"],
    ],
  ])("%s", (_guarantee, acts, log) => {
    expect(logOf(acts)).toEqual(log);
  });

  test("after a rest the 3 s count from the new task", () => {
    const scene = sceneOf([silent, wait(0), ack, piece(0), commit(1), wait(60_000)]);
    const { terms, attemptId } = scene;
    scene.log.length = 0;
    scene.perform(
      scene.book.open(
        terms,
        {
          type: "task",
          taskId: terms.taskId,
          attemptId,
          model: terms.model,
          input: { kind: "embedding", texts: ["a"] },
        },
        scene.nowMs,
      ),
    );
    scene.ack();
    scene.advance(2_999);
    expect(scene.log).not.toContainEqual(expect.stringMatching(/dropSocket/));
    scene.advance(1);
    expect(scene.log).toContainEqual(expect.stringMatching(/^63000 dropSocket/));
  });
});

test("a tick is asked for as long as anything is open, and not when nothing is", () => {
  const scene = new LeaseScene();
  expect(scene.book.nextTickMs(scene.nowMs)).toBe(toyStartMs + 20);
  scene.ack();
  scene.commit(0);
  scene.advance(limits.leaseGraceMs);
  expect(scene.book.nextTickMs(scene.nowMs)).toBeUndefined();
});

test("a lease is made known to storage once it has run for 20 ms, in a form that storage can read", () => {
  const scene = sceneOf([ack, wait(19)]);
  expect(scene.kept).toBeUndefined();
  scene.advance(1);
  expect(keptLeaseSchema.parse(scene.kept)).toEqual(scene.kept);
  scene.advance(60_000);
  expect(scene.log.filter((line) => line.endsWith("keep"))).toEqual(["20 keep"]);
});

test.each<[guarantee: string, acts: Act[], isKept: boolean]>([
  ["a lease that was over before is not", [ack, piece(0), wait(10), commit(1), wait(100)], false],
  ["its record says that it takes the place of what was kept", [ack, piece(0), wait(20), commit(1)], true],
  ["after a reset as well", [ack, piece(0), wait(20), reset, back(undefined)], true],
])("%s", (_guarantee, acts, isKept) => {
  const effects: LeaseEffect[] = [];
  const scene = new LeaseScene();
  const perform = scene.perform.bind(scene);
  scene.perform = (given) => {
    effects.push(...given);
    perform(given);
  };
  for (const act of acts) act(scene);
  expect(effects.filter(({ type }) => type === "record")).toMatchObject([{ isKept }]);
  expect(effects.some(({ type }) => type === "keep")).toBe(isKept);
});
