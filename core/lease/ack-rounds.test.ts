import { describe, expect, test } from "vitest";
import { limits } from "../limits.ts";
import { type Act, ack, attach, commit, detach, lost, piece, reset, sceneOf, wait } from "../testing/lease-acts.ts";
import { toyNodeId, toyStartMs, toyTask } from "../testing/toy-terms.ts";
import { AckRounds } from "./ack-rounds.ts";
import { newLease } from "./lease.ts";
import { Tombstones } from "./tombstones.ts";

/** The reader takes what it is told only when it likes. */
const behind =
  (isBehind: boolean): Act =>
  (scene) => {
    scene.isBehind = isBehind;
  };

test.each<[guarantee: string, acts: Act[], acks: string[]]>([
  ["pieces are acked a round after they were told", [ack, piece(0), piece(1), wait(5_100)], ["5000 send acked 2"]],
  [
    "what came within the last round is not covered",
    [ack, piece(0), wait(2_600), piece(1), wait(2_400), piece(2), wait(2_600)],
    ["5000 send acked 1", "7500 send acked 2"],
  ],
  ["what was acked is not acked again", [ack, piece(0), wait(60_000)], ["5000 send acked 1"]],
  ["a lease without pieces has nothing to ack", [ack, wait(60_000)], []],
  ["nothing is acked while its reader is away", [ack, piece(0), detach, wait(4_999), wait(100)], []],
  [
    "a reader that has been away is given a round of its own",
    [ack, piece(0), wait(2_600), detach, wait(2_500), attach(1), wait(5_000)],
    ["10000 send acked 1"],
  ],
  [
    "a reader that came back for less has seen only what it asked from",
    [
      ack,
      ...[0, 1, 2, 3].map((seq) => piece(seq)),
      wait(2_600),
      attach(1),
      ack,
      piece(1),
      piece(2),
      piece(3),
      wait(5_000),
    ],
    ["7500 send acked 4"],
  ],
  ["nothing is acked while the node tells again", [ack, piece(0), piece(1), wait(2_600), attach(1), wait(10_000)], []],
  ["what waits for its reader is not acked", [behind(true), ack, piece(0), wait(20_000)], []],
  [
    "once its reader has it, a round later",
    [behind(true), ack, piece(0), wait(2_600), behind(false), wait(5_000)],
    ["7500 send acked 1"],
  ],
  [
    "an ended attempt is over within two rounds",
    [ack, piece(0), wait(100), commit(1), wait(20_000)],
    ["5000 send acked over"],
  ],
  [
    "one whose end is told again is over only after that",
    [ack, piece(0), wait(100), commit(1), attach(0), wait(10_000), ack, piece(0), commit(1), wait(20_000)],
    ["15000 send acked over"],
  ],
  ["nothing is sent where there is no socket", [ack, piece(0), commit(1), lost, wait(20_000)], []],
  [
    "what goes on after a reset is acked as before",
    [ack, wait(20), piece(0), reset, attach(1), (it) => it.welcome({ nextSeq: 1 }), ack, piece(1), wait(5_000)],
    ["5020 send acked 2"],
  ],
])("%s", (_guarantee, acts, acks) => {
  expect(sceneOf(acts).log.filter((line) => line.includes("send acked"))).toEqual(acks);
});

test("rounds stop when nothing is left to ack", () => {
  const scene = sceneOf([ack, piece(0), commit(1), wait(10_000)]);
  expect(scene.book.nextTickMs(scene.nowMs)).toBeUndefined();
});

describe("a round", () => {
  test("names no more attempts than a frame may hold, and the others in the next", () => {
    const leases = new Map(
      Array.from({ length: limits.heldAttempts + 7 }, (_, number) => {
        const { terms } = toyTask(number);
        return [terms.attemptId, { ...newLease(terms, toyNodeId, toyStartMs), nextSeq: 1 }] as const;
      }),
    );
    const acks = new AckRounds();
    const options = { tombstones: new Tombstones(), isBehind: () => false };
    const rounds = [2_500, 5_000, 7_500, 10_000].map((ms) => acks.round(leases, options, toyStartMs + ms));
    expect(rounds.map((frame) => frame?.items.length)).toEqual([undefined, limits.heldAttempts, 7, undefined]);
    const named = rounds.flatMap((frame) => frame?.items ?? []).map(({ attemptId }) => attemptId);
    expect(new Set(named).size).toBe(leases.size);
  });

  test("is due 2.5 s after there was first something to do, however often that is said", () => {
    const acks = new AckRounds();
    expect(acks.dueMs).toBe(Number.POSITIVE_INFINITY);
    acks.wake(toyStartMs);
    acks.wake(toyStartMs + 1_000);
    expect(acks.dueMs).toBe(toyStartMs + 2_500);
    acks.round(new Map(), { tombstones: new Tombstones(), isBehind: () => false }, toyStartMs + 2_500);
    expect(acks.dueMs).toBe(Number.POSITIVE_INFINITY);
  });
});
