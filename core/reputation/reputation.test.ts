import { describe, expect, test } from "vitest";
import { accountIdSchema, newTaskId, type TaskId } from "../ids.ts";
import { seededRandom } from "../testing/seeded-random.ts";
import {
  newReputation,
  noteOverturned,
  noteSuspicion,
  noteVerdict,
  pardon,
  type Reputation,
  reputationSchema,
} from "./reputation.ts";
import { standingInTrust } from "./trust-standing.ts";

const dayMs = 24 * 3_600_000;
const operators = (names: string) => [...names].map((name) => accountIdSchema.parse(`op${name}xxx`));

interface Told {
  by?: string;
  taskId?: TaskId;
  nowMs?: number;
  isGross?: boolean;
}
function invalid(reputation: Reputation, told: Told = {}): Reputation {
  const { by = "abc", taskId = newTaskId(), nowMs = 0, isGross = true } = told;
  const isShort = by.length < 3;
  const verdict = { taskId, outcome: "invalid", isGross, chosenWith: 1, confirmedBy: operators(by), isShort } as const;
  return noteVerdict(reputation, verdict, nowMs);
}
function valid(reputation: Reputation, { times = 1, nowMs = 0, chosenWith = 1 } = {}): Reputation {
  const verdict = { outcome: "valid", isGross: false, chosenWith, confirmedBy: [], isShort: false } as const;
  let next = reputation;
  for (let time = 0; time < times; time += 1) next = noteVerdict(next, { ...verdict, taskId: newTaskId() }, nowMs);
  return next;
}
/** So many slight failures, with so many valid checks between each. */
function slightly(reputation: Reputation, times: number, between = 0): Reputation {
  let next = reputation;
  for (let time = 0; time < times; time += 1) next = invalid(valid(next, { times: between }), { isGross: false });
  return next;
}
const isSuspended = (reputation: Reputation) => reputation.suspendedAtMs !== null;
const share = (reputation: Reputation, nowMs = 0) => standingInTrust(reputation, nowMs).auditShare;

const fresh = newReputation(0);
const trusted = valid(valid(fresh, { times: 900 }), { times: 100, chosenWith: 0.01 });

describe("a node is suspended", () => {
  test.each<[guarantee: string, steps: (reputation: Reputation) => Reputation, isIt: boolean]>([
    ["by no failure alone, however gross", (node) => invalid(node), false],
    ["by two gross ones in a row", (node) => invalid(invalid(node)), true],
    ["by two gross ones with 100 valid checks between", (node) => invalid(valid(invalid(node), { times: 100 })), true],
    ["by no two with 120 between", (node) => invalid(valid(invalid(node), { times: 120 })), false],
    [
      "by three gross ones with 200 valid checks between each, which is a cheat that behaves for a while",
      (node) => invalid(valid(invalid(valid(invalid(node), { times: 200 })), { times: 200 })),
      true,
    ],
    ["by no four slight ones in a row", (node) => slightly(node, 4), false],
    ["by five", (node) => slightly(node, 5), true],
    ["by no gross one and a slight one", (node) => slightly(invalid(node), 1), false],
    ["by a gross one and two slight ones", (node) => slightly(invalid(node), 2), true],
    ["by no five slight ones with 20 valid checks between each", (node) => slightly(node, 5, 20), false],
    [
      "by the same failure told twice",
      (node) => [1, 2].reduce((each) => invalid(each, { taskId: oneTask }), node),
      false,
    ],
    [
      "by no three failures of the same two operators",
      (node) => [1, 2, 3].reduce((each) => invalid(each, { by: "ab" }), node),
      false,
    ],
    [
      "by four of them, where the network has no third",
      (node) => [1, 2, 3, 4].reduce((each) => invalid(each, { by: "ab" }), node),
      true,
    ],
  ])("%s", (_guarantee, steps, isIt) => {
    expect(isSuspended(steps(fresh))).toBe(isIt);
    expect(isSuspended(steps(trusted))).toBe(isIt);
  });
});
const oneTask = newTaskId();

describe("the share of answers that are checked", () => {
  test("is all of a new node's until a hundred were valid", () => {
    expect([share(fresh), share(valid(fresh, { times: 99 }))]).toEqual([1, 1]);
    expect(share(valid(fresh, { times: 100 }))).toBeLessThan(1);
  });

  test("is 1 % of a node's with 900 valid checks and 10,000 answers", () => {
    expect(share(trusted)).toBeLessThan(0.013);
  });

  test("is all again after a suspicion, until ten were valid", () => {
    const suspected = noteSuspicion(trusted, 0);
    expect([share(suspected), share(valid(suspected, { times: 9 }))]).toEqual([1, 1]);
    expect(share(valid(suspected, { times: 10 }))).toBeLessThan(0.013);
  });

  test("is all again after a confirmed failure until a hundred were valid, and then higher than before", () => {
    const failed = invalid(trusted);
    expect([share(failed), share(valid(failed, { times: 99 }))]).toEqual([1, 1]);
    expect(share(valid(failed, { times: 100 }))).toBeGreaterThan(10 * share(trusted));
  });

  test("a suspicion does not shorten what a failure has it owe", () => {
    expect(noteSuspicion(invalid(trusted), 0).owed).toBe(100);
  });

  test("grows while nothing is heard of it", () => {
    expect(share(trusted, 60 * dayMs)).toBeGreaterThan(3 * share(trusted));
    expect(share(trusted, 2_000 * dayMs)).toBe(1);
  });
});

describe("an appeal that is won", () => {
  test("takes a failure back as if it had never been", () => {
    expect(noteOverturned(invalid(trusted, { taskId: oneTask }), oneTask, 0)).toEqual({
      ...trusted,
      tasks: expect.closeTo(trusted.tasks + 1, 5),
      valid: expect.closeTo(trusted.valid, 5),
      owedFor: "failure",
    });
  });

  test("lifts a suspension that does not stand without it", () => {
    const suspended = invalid(invalid(trusted), { taskId: oneTask });
    expect([isSuspended(suspended), isSuspended(noteOverturned(suspended, oneTask, 0))]).toEqual([true, false]);
  });

  test("leaves one that does", () => {
    const suspended = invalid(invalid(invalid(trusted)), { taskId: oneTask });
    expect(isSuspended(noteOverturned(suspended, oneTask, 0))).toBe(true);
  });

  test("of a failure that nobody knows changes nothing", () => {
    expect(noteOverturned(invalid(trusted), oneTask, 0)).toEqual(
      expect.objectContaining({ failures: [expect.anything()] }),
    );
  });
});

test("a pardoned node is as a new one, but that it failed is known", () => {
  const again = pardon(invalid(invalid(trusted)), dayMs);
  expect([share(again, dayMs), isSuspended(again)]).toEqual([1, false]);
  expect(standingInTrust(again, dayMs).score).toBeLessThan(standingInTrust(fresh, 0).score);
});

test("a node of whom nothing is known scores between a good and a bad one, and says why", () => {
  const [unknown, good, bad] = [fresh, trusted, invalid(invalid(fresh))].map((each) => standingInTrust(each, 0));
  expect(unknown?.score).toBeLessThan(good?.score ?? 0);
  expect(unknown?.score).toBeGreaterThan(bad?.score ?? 1);
  expect(unknown?.uncertainty).toBeGreaterThan(10 * (good?.uncertainty ?? 1));
  expect(unknown?.reason).toMatch(/it is new here, until 100 more/);
  expect(good?.reason).toMatch(/^1\.\d % of its answers/);
  expect(bad).toMatchObject({
    isSuspended: true,
    mayValidate: false,
    reason: expect.stringMatching(/2 of its answers failed/),
  });
});

test("whatever happens, a reputation is what its schema says, after JSON too", () => {
  const random = seededRandom(5);
  for (let round = 0; round < 60; round += 1) {
    let node = newReputation(0);
    let nowMs = 0;
    const failed: TaskId[] = [];
    for (let step = 0; step < 60; step += 1) {
      nowMs += (random() - 0.05) * 5 * dayMs;
      const dice = random();
      const taskId = newTaskId();
      if (dice < 0.5) node = valid(node, { nowMs, chosenWith: 0.01 + random() * 0.99 });
      else if (dice < 0.7) {
        node = invalid(node, { nowMs, taskId, by: random() < 0.5 ? "abc" : "de", isGross: random() < 0.5 });
        failed.push(taskId);
      } else if (dice < 0.9) node = noteOverturned(node, failed.pop() ?? taskId, nowMs);
      else node = noteSuspicion(node, nowMs);
      expect(isSuspended(node) && node.failures.length === 0).toBe(false);
      const { auditShare, score } = standingInTrust(node, nowMs);
      expect(auditShare >= 0.01 && auditShare <= 1 && score > 0 && score < 1).toBe(true);
    }
    expect(reputationSchema.parse(JSON.parse(JSON.stringify(node)))).toEqual(node);
  }
});
