import { describe, expect, test } from "vitest";
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
  resetBehindSocket,
  sceneOf,
  wait,
} from "../testing/lease-acts.ts";
import { heldAs, LeaseScene } from "../testing/lease-scene.ts";
import { toyTask } from "../testing/toy-terms.ts";
import type { LeaseTerms } from "./lease.ts";
import type { Attached } from "./lease-effect.ts";

const embedding: Partial<LeaseTerms> = { kind: "embedding", inputs: 2, dimensions: 1 };
const vector = (index: number) => ({ index, float32: "AACAPw==" });

/** A chat of which storage knows, with two pieces of one token each. */
const begun = [ack, wait(20), piece(0), piece(1)];
/** The same, but storage learnt of it before its ack, as it mostly does. */
const begunEarly = [wait(20), ack, piece(0), piece(1)];
const begunLines = 3;

/** The node's end of text without a token: nothing in the counts shows that it came. */
const tail: Act = (scene) => scene.delta(2, { text: "!" });
const cancelled = commit(4, { finishReason: "cancelled" });
const four = { nextSeq: 4, completionTokens: 4 };

/** The lines after those of what had begun; all at 20 ms unless they say otherwise. */
function logAfter(start: readonly Act[], acts: readonly Act[]): string[] {
  return logOf([...start, ...acts])
    .slice(begunLines)
    .map((line) => line.replace(/^20 /, ""));
}

test.each<[guarantee: string, acts: Act[], log: string[]]>([
  [
    "with all that was told goes on unnoticed by the node",
    [attach(2), piece(2)],
    ["attached open", "hangUp", "tell 2"],
  ],
  [
    "with less has the rest told again: what was on its way is skipped, and each piece comes once, in order",
    [attach(1), piece(2), piece(3), ack, piece(1), piece(2), piece(3), commit(4)],
    ["attached open", "hangUp", "send resume 1", "tell 1", "tell 2", "tell 3", "record completed", "tell committed"],
  ],
  [
    "twice takes its own place: only what was asked for last is told",
    [attach(1), attach(0), ack, piece(1), piece(2), ack, piece(0), piece(1)],
    ["attached open", "hangUp", "send resume 1", "attached open", "hangUp", "send resume 0", "tell 0", "tell 1"],
  ],
  [
    "for less than the telling on its way brings waits for that",
    [attach(0), attach(1), ack, piece(0), piece(1), piece(2)],
    ["attached open", "hangUp", "send resume 0", "attached open", "hangUp", "tell 1", "tell 2"],
  ],
  [
    "is not told the end of an earlier telling, though its counts would fit",
    [tail, attach(2), commit(2), ack, tail, commit(2)],
    ["tell 2", "attached open", "hangUp", "send resume 2", "tell 2", "record completed", "tell committed"],
  ],
  [
    "while the socket is away has its place in the welcome",
    [lost, attach(1), wait(1_000), back(four), ack, piece(1), piece(2)],
    ["attached open", "hangUp", "1020 welcome 1", "1020 tell 1", "1020 tell 2"],
  ],
  [
    "with less than the welcome has just asked for is not confused by what that brings",
    [lost, back(four), attach(1), ack, piece(2), piece(3), ack, piece(1), piece(2)],
    ["welcome 2", "attached open", "hangUp", "send resume 1", "tell 1", "tell 2"],
  ],
  [
    "for pieces that the node no longer has is told that it lost the node",
    [attach(0), fail({ code: "lost_pieces" })],
    ["attached open", "hangUp", "send resume 0", "record queued", "tell failed socketGone"],
  ],
  ["after a cancel finds nothing", [cancel, attach(1)], ["send cancel", "attached unknown"]],
  ["after 5 s finds nothing", [detach, wait(5_000), attach(2)], ["5020 send cancel", "5020 attached unknown"]],
])("a reader that comes back %s", (_guarantee, acts, log) => {
  expect(logAfter(begun, acts)).toEqual(log);
});

test("a reader that comes back with some vectors is told the others, and none that it has", () => {
  const scene = sceneOf([ack, (it) => it.delta(0, { vectors: [vector(0)] })], embedding);
  scene.delta(1, { vectors: [vector(1)] });
  scene.attach(1, { completionTokens: 0, vectors: [0] });
  scene.ack();
  scene.delta(1, { vectors: [vector(1)] });
  scene.commit(0);
  expect(scene.log.slice(-4)).toEqual(["0 send resume 1", "0 tell 1", "0 record completed", "0 tell committed"]);
});

test("a reader that comes back before the ack is told so, and hears of the ack", () => {
  const scene = new LeaseScene();
  expect(scene.attach(0)).toEqual({ kind: "open", promptTokens: 0, isAcked: false });
  scene.ack();
  expect(scene.log).toEqual(["0 attached open", "0 hangUp", "0 start acked"]);
  expect(scene.attach(0)).toEqual({ kind: "open", promptTokens: 3, isAcked: true });
});

describe.each([
  ["storage learnt of the lease after its ack", begun],
  ["storage learnt of the lease before its ack", begunEarly],
])("after a reset, where %s", (_when, start) => {
  const isEarly = start === begunEarly;
  /** The first ack that the object hears of. */
  const again = isEarly ? ["start acked"] : [];

  test.each<[guarantee: string, acts: Act[], log: string[]]>([
    [
      "a reader that comes after the node goes on from its place",
      [reset, back(four), attach(2), ack, piece(2), piece(3), commit(4)],
      [
        "welcome null",
        "attached open",
        "hangUp",
        "send resume 2",
        ...again,
        "tell 2",
        "tell 3",
        "record completed",
        "tell committed",
      ],
    ],
    [
      "a reader that comes before the node goes on from its place",
      [reset, attach(2), wait(0), back(four), ack, piece(2), piece(3), commit(4)],
      ["attached open", "hangUp", "welcome 2", ...again, "tell 2", "tell 3", "record completed", "tell committed"],
    ],
    [
      "a reader that comes late goes on as well, however long ago the lease began",
      [wait(60_000), reset, back(four), wait(4_900), attach(2), ack, piece(2)],
      [
        ...["60020 welcome null", "64920 attached open", "64920 hangUp", "64920 send resume 2"],
        ...again.map((line) => `64920 ${line}`),
        "64920 tell 2",
      ],
    ],
    [
      "where the socket outlived it, what was on its way is skipped and the reader goes on",
      [resetBehindSocket, piece(2), attach(2), piece(3), ack, piece(2), piece(3), piece(4)],
      ["attached open", "hangUp", "send resume 2", ...again, "tell 2", "tell 3", "tell 4"],
    ],
    [
      "where the socket outlived it, nothing of an earlier telling is taken for wrong",
      [
        resetBehindSocket,
        attach(0),
        ack,
        piece(2),
        piece(3),
        commit(4),
        ack,
        piece(0),
        piece(1),
        piece(2),
        piece(3),
        commit(4),
      ],
      [
        ...["attached open", "hangUp", "send resume 0", ...again, "tell 0", "tell 1", "tell 2", "tell 3"],
        ...["record completed", "tell committed"],
      ],
    ],
    [
      "a node that was told to stop before it says so, and nobody waits: it was cancelled",
      [cancel, reset, back({ ...four, isOver: true, isEndSent: true }), wait(5_000), ack, cancelled],
      ["send cancel", "welcome null", "5020 send resume 4", "5020 record cancelled", "5020 tell failed refuse"],
    ],
    [
      "a node that was told to stop before it is lost to a reader that comes all the same",
      [cancel, reset, back({ ...four, isOver: true }), attach(2), ack, piece(2), piece(3), cancelled],
      [
        ...["send cancel", "welcome null", "attached open", "hangUp", "send resume 2", ...again, "tell 2", "tell 3"],
        ...["record queued", "tell failed socketGone"],
      ],
    ],
    [
      "where the socket outlived it, its loss starts the 2 s of a reader",
      [resetBehindSocket, attach(2), wait(1_000), lost, wait(3_000)],
      [
        ...["attached open", "hangUp", "send resume 2"],
        ...(isEarly ? ["3020 start failed socketGone"] : []),
        ...["3020 record queued", "3020 tell failed socketGone"],
      ],
    ],
    [
      "a reader whose node does not come back within 2 s has lost it",
      [reset, attach(2), wait(3_000)],
      [
        ...["attached open", "hangUp"],
        ...(isEarly ? ["2020 start failed socketGone"] : []),
        ...["2020 record queued", "2020 tell failed socketGone"],
      ],
    ],
    [
      "a node that forgot the pieces that are due is lost",
      [reset, attach(1), back({ ...four, firstSeq: 2 })],
      [
        "attached open",
        "hangUp",
        ...(isEarly ? ["start failed socketGone"] : []),
        "record queued",
        "tell failed socketGone",
      ],
    ],
    [
      "nobody comes: the node is told to stop, and says what it had",
      [reset, back(four), wait(5_000), ack, cancelled],
      ["welcome null", "5020 send cancel", "5020 record failed", "5020 tell failed refuse"],
    ],
    [
      "nobody comes, and the node does so later: it is told to stop then",
      [reset, wait(20_000), back(four), ack, cancelled],
      ["20020 welcome null", "20020 send cancel", "20020 record failed", "20020 tell failed refuse"],
    ],
    [
      "nobody comes, nor does the node within 30 s",
      [reset, wait(60_000)],
      ["30020 record failed", "30020 tell failed refuse"],
    ],
    [
      "nobody comes to a node that stays: it is told to stop",
      [resetBehindSocket, piece(2), wait(5_000), ack, cancelled],
      ["5020 send cancel", "5020 record failed", "5020 tell failed refuse"],
    ],
    [
      "nobody comes, but the answer had ended while all were there: it counts",
      [reset, back({ ...four, isOver: true, isEndSent: true }), wait(5_000), ack, commit(4)],
      ["welcome null", "5020 send resume 4", "5020 record completed", "5020 tell committed"],
    ],
    [
      "nobody comes, and the node that had ended it all comes later: it counts",
      [reset, wait(10_000), back({ ...four, isOver: true, isEndSent: true }), wait(10), ack, commit(4)],
      [...["10020 welcome null", "10020 send resume 4"], ...["10030 record completed", "10030 tell committed"]],
    ],
    [
      "what its node ended because it was told to does not count, however often it says so",
      [reset, back(four), wait(5_000), lost, back({ ...four, isOver: true, isEndSent: true }), ack, cancelled],
      [
        ...["welcome null", "5020 send cancel", "5020 welcome null", "5020 send cancel"],
        ...["5020 record failed", "5020 tell failed refuse"],
      ],
    ],
    [
      "an answer that ended after the reader was gone does not count",
      [reset, back({ ...four, isOver: true }), wait(5_000), ack, commit(4)],
      ["welcome null", "5020 send cancel", "5020 record failed", "5020 tell failed refuse"],
    ],
    [
      "an end that the node promised and does not say again is not waited for",
      [reset, back({ ...four, isOver: true, isEndSent: true }), wait(60_000)],
      [
        ...["welcome null", "5020 send resume 4"],
        ...["10020 send cancel", "15020 record failed", "15020 tell failed refuse"],
      ],
    ],
    [
      "a fresh process ends it, and nobody will: it failed",
      [reset, back(undefined)],
      ["record failed", "tell failed socketGone"],
    ],
    [
      "a fresh process ends it, and its reader goes elsewhere",
      [reset, attach(2), back(undefined)],
      [
        "attached open",
        "hangUp",
        ...(isEarly ? ["start failed socketGone"] : []),
        "record queued",
        "tell failed socketGone",
      ],
    ],
    [
      "a cancel finds a node that holds silently",
      [reset, back(four), cancel, ack, cancelled],
      ["welcome null", "send cancel", "record cancelled", "tell failed refuse"],
    ],
    [
      "a cancel waits for a node that is on its way",
      [reset, cancel, wait(4_000), back(four), ack, cancelled],
      ["4020 welcome null", "4020 send cancel", "4020 record cancelled", "4020 tell failed refuse"],
    ],
    [
      "a reader that came back and left again has cancelled",
      [reset, back(four), attach(2), ack, piece(2), piece(3), detach, wait(5_000), cancelled],
      [
        ...["welcome null", "attached open", "hangUp", "send resume 2", ...again, "tell 2", "tell 3"],
        ...["5020 send cancel", "5020 record cancelled", "5020 tell failed refuse"],
      ],
    ],
    [
      "another reset forgets nothing",
      [reset, reset, back(four), reset, back(four), attach(2), ack, piece(2)],
      ["welcome null", "welcome null", "attached open", "hangUp", "send resume 2", ...again, "tell 2"],
    ],
  ])("%s", (_guarantee, acts, log) => {
    expect(logAfter(start, acts)).toEqual(log);
  });

  test.each<[guarantee: string, acts: Act[], record: object]>([
    [
      "a task that nobody came back for has failed and bills nothing; the node's counts stand in its attempt",
      [reset, back(four), wait(5_000), ack, cancelled],
      { state: "failed", errorCode: "stream_broken", promptTokens: 0, completionTokens: 0 },
    ],
    [
      "so has one whose node does not answer",
      [reset, back(four), wait(60_000)],
      { state: "failed", errorCode: "stream_broken", promptTokens: 0, completionTokens: 0 },
    ],
    [
      "a cancel bills what the node says",
      [reset, back(four), cancel, ack, cancelled],
      { state: "cancelled", errorCode: null, promptTokens: 3, completionTokens: 4 },
    ],
    [
      "what had ended while all were there is billed",
      [reset, back({ ...four, isOver: true, isEndSent: true }), wait(5_000), ack, commit(4)],
      { state: "completed", errorCode: null, promptTokens: 3, completionTokens: 4 },
    ],
  ])("%s", (_guarantee, acts, record) => {
    const { records } = sceneOf([...start, ...acts]);
    expect(records).toMatchObject([{ ...record, attempts: [{ completionTokens: 4 }] }]);
    expect(taskRecordSchema.parse(records[0])).toEqual(records[0]);
  });
});

describe("a reader that comes for what has ended", () => {
  const committed: Attached = {
    kind: "over",
    promptTokens: 3,
    end: { type: "committed", finishReason: "stop", promptTokens: 3, completionTokens: 2 },
  };
  const failed = (how: string) => ({ kind: "over", promptTokens: 3, end: { type: "failed", how } });
  const unknown = { kind: "unknown" };

  test.each<[guarantee: string, acts: Act[], nextSeq: number, attached: object]>([
    ["and has all of it is given the end", [commit(2)], 2, committed],
    ["half a minute later finds nothing", [commit(2), wait(limits.leaseGraceMs)], 2, unknown],
    ["within it still finds the end", [commit(2), wait(limits.leaseGraceMs - 1)], 2, committed],
    ["hears that it failed, whatever it has", [fail({ code: "no_slot" })], 0, failed("refuse")],
    ["hears that its node was lost", [lost, wait(2_000)], 1, failed("socketGone")],
    ["hears that its node was too slow", [wait(limits.silenceMs)], 1, failed("deadline")],
    ["after a reset hears that it failed", [fail({ code: "no_slot" }), reset], 0, failed("refuse")],
    ["after a reset hears that its node was lost", [lost, wait(2_000), reset], 1, failed("socketGone")],
    ["after a reset hears that its node was too slow", [wait(limits.silenceMs), reset], 1, failed("deadline")],
    ["and was cancelled hears that it failed", [cancel, wait(5_000)], 2, failed("refuse")],
  ])("%s", (_guarantee, acts, nextSeq, attached) => {
    const scene = sceneOf([...begun, ...acts]);
    const { length } = scene.records;
    expect(scene.attach(nextSeq)).toMatchObject(attached);
    expect(scene.records).toHaveLength(length);
  });

  test.each<[guarantee: string, acts: Act[], log: string[]]>([
    [
      "without its last piece is told that and the end",
      [commit(2), attach(1), ack, piece(1), commit(2)],
      ["attached open", "hangUp", "send resume 1", "tell 1", "tell committed"],
    ],
    [
      "twice is told what it asked for last",
      [commit(2), attach(1), attach(0), ack, piece(1), commit(2), ack, piece(0), piece(1), commit(2)],
      [
        ...["attached open", "hangUp", "send resume 1", "attached open", "hangUp", "send resume 0"],
        ...["tell 0", "tell 1", "tell committed"],
      ],
    ],
    [
      "after a reset is told it by the node",
      [
        commit(2),
        reset,
        back({ nextSeq: 2, completionTokens: 2, isOver: true, isEndSent: true }),
        attach(1),
        ack,
        piece(1),
        commit(2),
      ],
      ["welcome null", "attached open", "hangUp", "send resume 1", "tell 1", "tell committed"],
    ],
    [
      "after a reset and before the node waits for it",
      [commit(2), reset, attach(1), back({ nextSeq: 2, completionTokens: 2, isOver: true }), ack, piece(1), commit(2)],
      ["attached open", "hangUp", "welcome 1", "tell 1", "tell committed"],
    ],
    [
      "that the node has forgotten is told that it lost the node",
      [commit(2), attach(0), fail({ code: "lost_pieces" })],
      ["attached open", "hangUp", "send resume 0", "tell failed socketGone"],
    ],
    [
      "and loses the node then is told so after 2 s",
      [commit(2), attach(1), ack, lost, wait(3_000)],
      ["attached open", "hangUp", "send resume 1", "2020 tell failed socketGone"],
    ],
    [
      "and leaves then leaves nothing behind",
      [commit(2), attach(1), detach, wait(6_000)],
      ["attached open", "hangUp", "send resume 1", "5020 tell failed refuse"],
    ],
  ])("%s; it stays on record once", (_guarantee, acts, log) => {
    const scene = sceneOf([...begun, ...acts]);
    expect(logAfter(begun, acts)).toEqual(["record completed", "tell committed", ...log]);
    expect(scene.records).toMatchObject([{ state: "completed", completionTokens: 2 }]);
    expect(scene.book.size).toBe(0);
  });

  test("of vectors is told those it lacks, but after a reset nobody knows what was due", () => {
    const acts: Act[] = [ack, (it) => it.delta(0, { vectors: [vector(0), vector(1)] }), commit(0)];
    const wish = { completionTokens: 0, vectors: [] };
    const scene = sceneOf(acts, embedding);
    scene.attach(0, wish);
    scene.ack();
    scene.delta(0, { vectors: [vector(0), vector(1)] });
    scene.commit(0);
    expect(scene.log.slice(-3)).toEqual(["0 send resume 0", "0 tell 0", "0 tell committed"]);
    expect(sceneOf([...acts, reset], embedding).attach(0, wish)).toEqual(unknown);
  });
});

test("a welcome names what goes on, and nothing else that the node holds", () => {
  const scene = new LeaseScene();
  const { book, nowMs } = scene;
  const tasks = ["on", "absent", "trimmed", "committed", "failed", "never"].map((name, index) => ({
    name,
    ...toyTask(index + 1),
  }));
  for (const { terms, task, name } of tasks.slice(0, 5)) {
    const { attemptId } = terms;
    book.open(terms, task, nowMs);
    book.ack(attemptId, 3, nowMs);
    for (const seq of [0, 1]) book.delta({ attemptId, seq, tokenIds: [1] }, nowMs);
    if (name === "committed") {
      book.commit({ type: "commit", attemptId, finishReason: "stop", promptTokens: 3, completionTokens: 2 }, nowMs);
    }
    if (name === "failed") book.fail(attemptId, { code: "no_slot" }, nowMs);
  }
  book.socketLost(nowMs, nowMs, "the socket broke");
  const idOf = (name: string) => tasks.find((task) => task.name === name)?.terms.attemptId;
  const holding = tasks
    .filter(({ name }) => name !== "absent")
    .map(({ name, terms }) => heldAs(terms.attemptId, { nextSeq: 3, firstSeq: name === "trimmed" ? 3 : 0 }));
  const { leases, effects } = book.welcome(holding, nowMs);
  expect(leases).toEqual([
    { attemptId: idOf("on"), nextSeq: 2 },
    { attemptId: idOf("committed"), nextSeq: null },
  ]);
  expect(effects.flatMap((effect) => (effect.type === "record" ? [effect.attemptId] : []))).toEqual([
    idOf("absent"),
    idOf("trimmed"),
  ]);
  expect([...book.leases].map(({ terms }) => terms.attemptId)).toEqual([idOf("on")]);
});
