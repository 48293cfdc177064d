import { beforeEach, describe, expect, test } from "vitest";
import { type AttemptId, attemptIdSchema } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import { deltaFrameSchema, heldAttemptSchema, type NodeFrame } from "../../core/wire/node-frame.ts";
import { HeldAttempts } from "./held-attempts.ts";

const attempt = (number: number): AttemptId => attemptIdSchema.parse(`attempt_${String(number).padStart(4, "0")}`);
const [a, b] = [attempt(1), attempt(2)];
const startMs = 1_000_000;
const piece = (attemptId: AttemptId, token: number) => ({ attemptId, text: `${token} `, tokenIds: [token] });
const ackFrame = (attemptId: AttemptId): NodeFrame => ({ type: "ack", attemptId, promptTokens: 7 });
const deltaFrame = (attemptId: AttemptId, ...seqs: number[]): NodeFrame => ({
  type: "delta",
  items: seqs.map((seq) => ({ attemptId, seq, text: `${seq} `, tokenIds: [seq] })),
});
const commitFrame = (attemptId: AttemptId, completionTokens: number): NodeFrame => ({
  type: "commit",
  attemptId,
  finishReason: "stop",
  promptTokens: 7,
  completionTokens,
});
const lostFrame = (attemptId: AttemptId): NodeFrame => ({ type: "fail", attemptId, reason: { code: "lost_pieces" } });

let held: HeldAttempts;
beforeEach(() => {
  held = new HeldAttempts();
});

/** An attempt that was acked and made `count` pieces, of one token each, numbered as their token. */
function started(attemptId: AttemptId, count: number): void {
  held.begin(attemptId);
  held.ack({ attemptId, promptTokens: 7 });
  for (let token = 0; token < count; token += 1) held.pieces([piece(attemptId, token)]);
}
const commit = (attemptId: AttemptId, nowMs = startMs) => held.commit({ attemptId, finishReason: "stop" }, nowMs);
const isHeld = (attemptId: AttemptId) => held.holding().some((each) => each.attemptId === attemptId);

describe("on a socket", () => {
  test("everything goes out as it comes, numbered without gaps", () => {
    expect(held.begin(a)).toBe(true);
    expect(held.ack({ attemptId: a, promptTokens: 7 })).toEqual([ackFrame(a)]);
    expect(held.pieces([piece(a, 0)])).toEqual([deltaFrame(a, 0)]);
    expect(held.pieces([piece(a, 1)])).toEqual([deltaFrame(a, 1)]);
    expect(commit(a)).toEqual([commitFrame(a, 2)]);
  });

  test("pieces of several attempts go in one frame", () => {
    started(a, 0);
    started(b, 1);
    expect(held.pieces([piece(a, 0), piece(b, 1)])).toEqual([
      {
        type: "delta",
        items: [
          { attemptId: a, seq: 0, text: "0 ", tokenIds: [0] },
          { attemptId: b, seq: 1, text: "1 ", tokenIds: [1] },
        ],
      },
    ]);
  });

  test("a doubled task is known, running or over, until it is forgotten", () => {
    started(a, 1);
    expect(held.begin(a)).toBe(false);
    commit(a);
    expect(held.begin(a)).toBe(false);
    held.acked({ items: [], over: [a] });
    expect(held.begin(a)).toBe(true);
  });

  test("nothing of an attempt follows its end, and nothing comes of one that is not held", () => {
    started(a, 1);
    commit(a);
    expect(held.ack({ attemptId: a, promptTokens: 7 })).toEqual([]);
    expect(held.pieces([piece(a, 1)])).toEqual([]);
    expect(commit(a)).toEqual([]);
    expect(held.fail({ attemptId: a, reason: { code: "no_slot" } }, startMs)).toEqual([]);
    expect(held.pieces([piece(b, 0)])).toEqual([]);
    expect(commit(b)).toEqual([]);
    expect(held.cancel(b)).toEqual([]);
    expect(held.holding()).toMatchObject([{ attemptId: a, nextSeq: 1 }]);
  });

  test("a commit before an ack is a bug, and is said", () => {
    held.begin(a);
    expect(() => commit(a)).toThrow("before it was acked");
  });
});

describe("without a socket", () => {
  test("nothing goes out and all is kept", () => {
    started(a, 1);
    held.begin(b);
    held.lost(startMs);
    expect(held.pieces([piece(a, 1)])).toEqual([]);
    expect(commit(a)).toEqual([]);
    expect(held.fail({ attemptId: b, reason: { code: "no_slot" } }, startMs)).toEqual([]);
    expect(held.cancel(a)).toEqual([]);
    expect(
      held.welcomed(
        [a, b].map((attemptId) => ({ attemptId, nextSeq: 0 })),
        startMs,
      ),
    ).toEqual({
      frames: [
        ackFrame(a),
        deltaFrame(a, 0, 1),
        commitFrame(a, 2),
        { type: "fail", attemptId: b, reason: { code: "no_slot" } },
      ],
      stop: [],
    });
  });

  test("an ack that was made meanwhile goes out with the welcome, and the rest flows on after it", () => {
    held.begin(a);
    held.lost(startMs);
    held.ack({ attemptId: a, promptTokens: 7 });
    expect(held.welcomed([{ attemptId: a, nextSeq: 0 }], startMs).frames).toEqual([ackFrame(a)]);
    expect(held.pieces([piece(a, 0)])).toEqual([deltaFrame(a, 0)]);
  });

  test("an ack that is made after the welcome goes out by itself", () => {
    held.begin(a);
    held.lost(startMs);
    expect(held.welcomed([{ attemptId: a, nextSeq: 0 }], startMs)).toEqual({ frames: [], stop: [] });
    expect(held.ack({ attemptId: a, promptTokens: 7 })).toEqual([ackFrame(a)]);
  });
});

describe("a welcome", () => {
  test.each<[guarantee: string, nextSeq: number, frames: NodeFrame[]]>([
    ["at the beginning: everything again", 0, [ackFrame(a), deltaFrame(a, 0, 1, 2), commitFrame(a, 3)]],
    ["in the middle: from there", 2, [ackFrame(a), deltaFrame(a, 2), commitFrame(a, 3)]],
    ["with all pieces: the end alone", 3, [ackFrame(a), commitFrame(a, 3)]],
    ["past all pieces: it is lost, since nobody can send them", 4, [lostFrame(a)]],
  ])("that wants an ended attempt %s", (_guarantee, nextSeq, frames) => {
    started(a, 3);
    commit(a);
    held.lost(startMs);
    expect(held.welcomed([{ attemptId: a, nextSeq }], startMs)).toEqual({ frames, stop: [] });
  });

  test("repeats a piece exactly as it was sent", () => {
    held.begin(a);
    held.ack({ attemptId: a, promptTokens: 7 });
    const sent = [
      held.pieces([{ attemptId: a, text: 'é\u{1F600}"\n', tokenIds: [1, 2] }]),
      held.pieces([{ attemptId: a, tokenIds: [3] }]),
      held.pieces([{ attemptId: a, vectors: [{ index: 0, float32: "AACAPw==" }] }]),
    ];
    const items = sent.flat().flatMap((frame) => (frame.type === "delta" ? frame.items : []));
    held.lost(startMs);
    const again = held.welcomed([{ attemptId: a, nextSeq: 0 }], startMs).frames[1];
    expect(JSON.stringify(again)).toBe(JSON.stringify({ type: "delta", items }));
  });

  test("stops and forgets what it does not name: no frame of it is ever sent again", () => {
    started(a, 1);
    started(b, 1);
    commit(b);
    held.lost(startMs);
    expect(held.welcomed([], startMs)).toEqual({ frames: [], stop: [a] });
    expect(held.pieces([piece(a, 1)])).toEqual([]);
    expect(commit(a)).toEqual([]);
    expect(held.holding()).toEqual([]);
  });

  test("leaves silent what it names with null, until it is asked for", () => {
    started(a, 2);
    held.lost(startMs);
    expect(held.welcomed([{ attemptId: a, nextSeq: null }], startMs)).toEqual({ frames: [], stop: [] });
    expect(held.pieces([piece(a, 2)])).toEqual([]);
    expect(held.resume({ attemptId: a, nextSeq: 1 })).toEqual({
      frames: [ackFrame(a), deltaFrame(a, 1, 2)],
      stop: [],
    });
    expect(held.pieces([piece(a, 3)])).toEqual([deltaFrame(a, 3)]);
  });

  test.each([0, null])("that names what is not held hears that it is lost (next piece %s)", (nextSeq) => {
    held.lost(startMs);
    expect(held.welcomed([{ attemptId: a, nextSeq }], startMs).frames).toEqual([lostFrame(a)]);
  });
});

describe("a resume", () => {
  test("on the same socket sends again from there, and goes on", () => {
    started(a, 3);
    expect(held.resume({ attemptId: a, nextSeq: 1 }).frames).toEqual([ackFrame(a), deltaFrame(a, 1, 2)]);
    expect(held.pieces([piece(a, 3)])).toEqual([deltaFrame(a, 3)]);
  });

  test("of an ended attempt sends its end too, as often as it is asked for", () => {
    started(a, 1);
    commit(a);
    for (let time = 0; time < 2; time += 1) {
      expect(held.resume({ attemptId: a, nextSeq: 1 }).frames).toEqual([ackFrame(a), commitFrame(a, 1)]);
    }
  });

  test("before pieces that were acked is lost: the attempt stops, and is forgotten", () => {
    started(a, 3);
    held.acked({ items: [{ attemptId: a, nextSeq: 2 }], over: [] });
    expect(held.resume({ attemptId: a, nextSeq: 1 })).toEqual({ frames: [lostFrame(a)], stop: [a] });
    expect(held.holding()).toEqual([]);
    expect(commit(a)).toEqual([]);
  });

  test("of what is not held is lost", () => {
    expect(held.resume({ attemptId: a, nextSeq: 0 })).toEqual({ frames: [lostFrame(a)], stop: [] });
  });
});

describe("acked", () => {
  test.each<[guarantee: string, nextSeq: number, firstSeq: number]>([
    ["pieces before it are forgotten", 2, 2],
    ["none are where none came", 0, 0],
    ["past the last piece it forgets all that there are", 9, 3],
  ])("%s", (_guarantee, nextSeq, firstSeq) => {
    started(a, 3);
    expect(held.acked({ items: [{ attemptId: a, nextSeq }], over: [] })).toEqual({ frames: [], stop: [] });
    expect(held.holding()).toMatchObject([{ firstSeq, nextSeq: 3, completionTokens: 3 }]);
    expect(held.pieces([piece(a, 3)])).toEqual([deltaFrame(a, 3)]);
  });

  test("a later, lower one changes nothing", () => {
    started(a, 3);
    held.acked({ items: [{ attemptId: a, nextSeq: 2 }], over: [] });
    held.acked({ items: [{ attemptId: a, nextSeq: 1 }], over: [] });
    expect(held.holding()).toMatchObject([{ firstSeq: 2 }]);
  });

  test("over forgets an ended attempt and stops a running one; unknown ones mean nothing", () => {
    started(a, 1);
    started(b, 1);
    commit(a);
    expect(held.acked({ items: [{ attemptId: attempt(9), nextSeq: 1 }], over: [a, b, attempt(9)] })).toEqual({
      frames: [],
      stop: [b],
    });
    expect(held.holding()).toEqual([]);
  });
});

describe("a cancel", () => {
  test("leaves an attempt that flows to its owner: the rest and the end go out", () => {
    started(a, 1);
    expect(held.cancel(a)).toEqual([]);
    expect(held.pieces([piece(a, 1)])).toEqual([deltaFrame(a, 1)]);
    expect(held.commit({ attemptId: a, finishReason: "cancelled" }, startMs)).toMatchObject([
      { finishReason: "cancelled", completionTokens: 2 },
    ]);
  });

  test("of a silent attempt tells its ack and its end, with the counts, and no pieces", () => {
    started(a, 2);
    held.lost(startMs);
    held.welcomed([{ attemptId: a, nextSeq: null }], startMs);
    expect(held.cancel(a)).toEqual([ackFrame(a)]);
    expect(held.pieces([piece(a, 2)])).toEqual([]);
    expect(commit(a)).toEqual([commitFrame(a, 3)]);
  });

  test("of a silent attempt that is over tells the end at once, and once", () => {
    started(a, 2);
    held.lost(startMs);
    commit(a);
    held.welcomed([{ attemptId: a, nextSeq: null }], startMs);
    expect(held.cancel(a)).toEqual([ackFrame(a), commitFrame(a, 2)]);
    expect(held.cancel(a)).toEqual([]);
  });

  test("of an attempt whose end was sent says nothing", () => {
    started(a, 1);
    commit(a);
    expect(held.cancel(a)).toEqual([]);
  });
});

describe("what a hello says", () => {
  test("is what is held: running attempts first, then the latest that ended, as the wire takes it", () => {
    started(a, 2);
    commit(a);
    started(b, 1);
    started(attempt(3), 0);
    held.fail({ attemptId: attempt(3), reason: { code: "no_slot" } }, startMs);
    held.acked({ items: [{ attemptId: a, nextSeq: 1 }], over: [] });
    const holding = held.holding();
    expect(holding).toEqual([
      { attemptId: b, firstSeq: 0, nextSeq: 1, completionTokens: 1, isOver: false, isEndSent: false },
      { attemptId: attempt(3), firstSeq: 0, nextSeq: 0, completionTokens: 0, isOver: true, isEndSent: true },
      { attemptId: a, firstSeq: 1, nextSeq: 2, completionTokens: 2, isOver: true, isEndSent: true },
    ]);
    for (const each of holding) heldAttemptSchema.parse(each);
  });

  test("tells an end that went out on an earlier socket from one that never did", () => {
    started(a, 1);
    started(b, 1);
    commit(a);
    held.lost(startMs);
    commit(b);
    expect(held.holding()).toMatchObject([
      { attemptId: b, isOver: true, isEndSent: false },
      { attemptId: a, isOver: true, isEndSent: true },
    ]);
    held.welcomed([{ attemptId: b, nextSeq: 1 }], startMs);
    held.lost(startMs);
    expect(held.holding()).toMatchObject([{ attemptId: b, isEndSent: true }]);
  });

  test("has a bound, and what runs comes before it", () => {
    for (let number = 0; number < limits.heldAttempts + 10; number += 1) {
      started(attempt(number), 0);
      commit(attempt(number));
    }
    started(attempt(9_999), 0);
    const holding = held.holding();
    expect(holding).toHaveLength(limits.heldAttempts);
    expect(holding[0]).toMatchObject({ attemptId: attempt(9_999), isOver: false });
    expect(holding[1]).toMatchObject({ attemptId: attempt(limits.heldAttempts + 9) });
    expect(isHeld(attempt(0))).toBe(false);
  });
});

describe("bounds", () => {
  const kilobyte = "x".repeat(512);

  test("an attempt keeps its latest 256 KiB, and says where they begin", () => {
    started(a, 0);
    held.lost(startMs);
    for (let seq = 0; seq < 1_000; seq += 1) held.pieces([{ attemptId: a, text: kilobyte, tokenIds: [seq] }]);
    const [{ firstSeq } = { firstSeq: 0 }] = held.holding();
    expect(firstSeq).toBeGreaterThan(1_000 - 256);
    expect(firstSeq).toBeLessThan(1_000 - 200);
    const again = held.welcomed([{ attemptId: a, nextSeq: firstSeq }], startMs).frames[1];
    expect(again).toMatchObject({ type: "delta", items: { length: 1_000 - firstSeq } });
    expect(JSON.stringify(again).length).toBeLessThan(limits.replayBytes);
    expect(held.resume({ attemptId: a, nextSeq: firstSeq - 1 }).frames).toEqual([lostFrame(a)]);
  });

  test("the smallest pieces that are kept fit one delta frame", () => {
    started(a, 0);
    held.lost(startMs);
    for (let seq = 0; seq < 6_000; seq += 1) held.pieces([{ attemptId: a, tokenIds: [seq] }]);
    const [{ firstSeq } = { firstSeq: 0 }] = held.holding();
    deltaFrameSchema.parse(held.welcomed([{ attemptId: a, nextSeq: firstSeq }], startMs).frames[1]);
  });

  test("a piece beyond the bound is sent and not kept", () => {
    started(a, 0);
    const text = "x".repeat(limits.replayBytes);
    expect(held.pieces([{ attemptId: a, text }])).toEqual([{ type: "delta", items: [{ attemptId: a, seq: 0, text }] }]);
    expect(held.holding()).toMatchObject([{ firstSeq: 1, nextSeq: 1 }]);
  });

  test("what is acked makes room", () => {
    started(a, 0);
    for (let seq = 0; seq < 1_000; seq += 1) {
      held.pieces([{ attemptId: a, text: kilobyte }]);
      if (seq % 100 === 99) held.acked({ items: [{ attemptId: a, nextSeq: seq - 100 }], over: [] });
    }
    expect(held.holding()).toMatchObject([{ firstSeq: 899, nextSeq: 1_000 }]);
  });

  test("ended attempts keep 16 MiB together: the oldest goes first", () => {
    const fill = (number: number) => {
      started(attempt(number), 0);
      for (let seq = 0; seq < 300; seq += 1) held.pieces([{ attemptId: attempt(number), text: kilobyte }]);
      commit(attempt(number));
    };
    for (let number = 0; number < 64; number += 1) fill(number);
    expect(isHeld(attempt(0))).toBe(true);
    for (let number = 64; number < 70; number += 1) fill(number);
    expect(isHeld(attempt(0))).toBe(false);
    expect(isHeld(attempt(69))).toBe(true);
    expect(held.holding().length).toBeGreaterThanOrEqual(64);
    // What is acked or over no longer counts.
    for (let number = 6; number < 70; number += 1)
      held.acked({ items: [{ attemptId: attempt(number), nextSeq: 300 }], over: [] });
    for (let number = 70; number < 130; number += 1) fill(number);
    expect(isHeld(attempt(69))).toBe(true);
  });
});

describe("time", () => {
  const graceMs = limits.leaseGraceMs;

  test("an ended attempt is forgotten 30 s after its end", () => {
    started(a, 1);
    commit(a, startMs);
    expect(held.expire(startMs + graceMs - 1)).toEqual([]);
    expect(isHeld(a)).toBe(true);
    expect(held.expire(startMs + graceMs)).toEqual([]);
    expect(isHeld(a)).toBe(false);
  });

  test("a running attempt is stopped and forgotten once its socket has been gone for 30 s, dials in between or not", () => {
    started(a, 1);
    held.lost(startMs);
    held.lost(startMs + 20_000);
    expect(held.expire(startMs + graceMs - 1)).toEqual([]);
    expect(held.expire(startMs + graceMs)).toEqual([a]);
    expect(held.expire(startMs + graceMs)).toEqual([]);
    expect(held.holding()).toEqual([]);
  });

  test("a running attempt is never stopped while there is a socket, silent or not", () => {
    started(a, 1);
    started(b, 1);
    held.lost(startMs);
    const leases = [
      { attemptId: a, nextSeq: 1 },
      { attemptId: b, nextSeq: null },
    ];
    held.welcomed(leases, startMs);
    expect(held.expire(startMs + 100 * graceMs)).toEqual([]);
    expect(held.holding()).toHaveLength(2);
  });
});

describe("everything is delivered", () => {
  test.each<[guarantee: string, act: () => void, afterMs: number, isDelivered: boolean]>([
    ["where nothing is held", () => {}, 0, true],
    ["not while something runs", () => started(a, 1), 0, false],
    [
      "once the ends are on the socket",
      () => {
        started(a, 1);
        commit(a);
      },
      0,
      true,
    ],
    [
      "not after that socket was lost",
      () => {
        started(a, 1);
        commit(a);
        held.lost(startMs);
      },
      limits.leaseGraceMs,
      false,
    ],
    [
      "not while a reader may come back for a silent one",
      () => {
        started(a, 1);
        held.lost(startMs);
        commit(a);
        held.welcomed([{ attemptId: a, nextSeq: null }], startMs);
      },
      limits.reattachMs - 1,
      false,
    ],
    [
      "once none did",
      () => {
        started(a, 1);
        held.lost(startMs);
        commit(a);
        held.welcomed([{ attemptId: a, nextSeq: null }], startMs);
      },
      limits.reattachMs,
      true,
    ],
  ])("%s", (_guarantee, act, afterMs, isDelivered) => {
    act();
    expect(held.isDelivered(startMs + afterMs)).toBe(isDelivered);
  });
});

describe("an end", () => {
  test("keeps what the node stands by and the prompt's ids, told again as they were", () => {
    started(a, 1);
    const commitment = { head: "h".repeat(43), signature: "s".repeat(86) };
    const ending = { attemptId: a, finishReason: "stop" as const, commitment, promptIds: [1, 2, 3] };
    const [frame] = held.commit(ending, startMs);
    expect(frame).toEqual({ ...commitFrame(a, 1), commitment, promptIds: [1, 2, 3] });
    held.lost(startMs);
    expect(held.welcomed([{ attemptId: a, nextSeq: 1 }], startMs).frames).toEqual([ackFrame(a), frame]);
  });

  test("with ids of long prompts counts for what ended attempts may keep together", () => {
    const promptIds = new Array<number>(1_000_000).fill(1);
    for (let number = 1; number <= 3; number += 1) {
      started(attempt(number), 1);
      held.commit({ attemptId: attempt(number), finishReason: "stop", promptIds }, startMs);
    }
    expect([1, 2, 3].map((number) => isHeld(attempt(number)))).toEqual([false, true, true]);
  });
});

test("a report is kept and told again like any piece", () => {
  const report = { findings: [{ position: 0, margin: 0, rank: 0 }], isTextOfTokens: true, isEndRight: true };
  started(a, 0);
  expect(held.pieces([{ attemptId: a, report }])).toEqual([
    { type: "delta", items: [{ attemptId: a, seq: 0, report }] },
  ]);
  commit(a);
  held.lost(startMs);
  const { frames } = held.welcomed([{ attemptId: a, nextSeq: 0 }], startMs);
  expect(frames[1]).toEqual({ type: "delta", items: [{ attemptId: a, seq: 0, report }] });
});
