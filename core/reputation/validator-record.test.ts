import { describe, expect, test } from "vitest";
import { newTaskId } from "../ids.ts";
import { isTrusted, newValidatorRecord, noteMark, takeBackMark } from "./validator-record.ts";

/** Marks in short: `+` right, `o` the odd one out, `m` a missed probe. */
const recordAfter = (marks: string) =>
  [...marks].reduce((record, mark) => noteMark(record, markOf(mark), 1_000), newValidatorRecord);
const markOf = (mark: string) => ({ taskId: newTaskId(), wasRight: mark === "+", isProbe: mark === "m" });

describe("a validator", () => {
  test.each<[guarantee: string, marks: string, isSuspended: boolean]>([
    ["is not suspended for one missed probe", "m", false],
    ["is for two", "mm", true],
    ["is for two with ten right words between", `m${"+".repeat(10)}m`, true],
    ["is not for two with twenty between", `m${"+".repeat(20)}m`, false],
    ["is not for being the odd one out twice", "oo", false],
    ["is for four times in a row", "oooo", true],
    ["is for a missed probe and one odd word", "mo", true],
    ["is not for one odd word in twenty", `o${"+".repeat(19)}`.repeat(20), false],
    ["is for one odd word in three, which is no honest rate", "o++".repeat(8), true],
  ])("%s", (_guarantee, marks, isSuspended) => {
    expect(recordAfter(marks).suspendedAtMs !== null).toBe(isSuspended);
  });

  test.each<[guarantee: string, marks: string, is: boolean]>([
    ["is not trusted at first", "", false],
    ["is after ten right words", "+".repeat(10), true],
    ["loses half of that with a wrong one", `${"+".repeat(15)}o`, false],
    ["is not while suspended", `${"+".repeat(90)}mm`, false],
  ])("%s", (_guarantee, marks, is) => {
    expect(isTrusted(recordAfter(marks))).toBe(is);
  });

  test.each(["+", "o", "m"])("that gets a mark %s taken back is as before", (mark) => {
    const before = recordAfter("++++++o");
    const told = markOf(mark);
    const back = takeBackMark(noteMark(before, told, 1_000), told);
    expect(back).toEqual({
      ...before,
      evidence: expect.closeTo(before.evidence, 9),
      right: expect.closeTo(before.right, 9),
    });
  });

  test("is let back in where what it was suspended for is taken back", () => {
    const told = markOf("m");
    const suspended = noteMark(recordAfter("m"), told, 1_000);
    expect([suspended.suspendedAtMs, takeBackMark(suspended, told).suspendedAtMs]).toEqual([1_000, null]);
  });

  test("that is told twice of a wrong word was wrong once; what was never told is not taken back", () => {
    const told = markOf("m");
    const once = noteMark(newValidatorRecord, told, 1_000);
    expect(noteMark(once, told, 2_000)).toEqual(once);
    expect(takeBackMark(once, markOf("m"))).toEqual(once);
  });
});
