import { describe, expect, test } from "vitest";
import { Dice } from "../dice.ts";
import { Violation } from "../ground.ts";
import { AuditWorld, type TaskStory, usualRates } from "./audit-world.ts";
import { honest } from "./character.ts";
import { checkAudits } from "./check-audits.ts";
import { delayCases, measureDelay, wilson } from "./detection-delay.ts";
import { foundAtTask, pairWorld, runAudits, runWorld } from "./run-audits.ts";

test.each([1])("10,000 tasks of a mixed network, seed %i: no checker fails, and who can be found is", (seed) => {
  const world = runAudits({ seed, tasks: 10_000 });
  const villains = world.parties.filter(({ character }) => character !== honest);
  // One who behaves whenever it is watched is not found so soon: it can hardly cheat.
  const open = villains.filter(({ character }) => character.cheats?.when !== "unwatched");
  expect(open).toHaveLength(10);
  for (const villain of open) expect([villain.character.name, foundAtTask(villain)]).not.toContain(null);
  const words = (name: string) => villains.find(({ character }) => character.name === name)?.words ?? 1e9;
  expect(words("lying validator")).toBeLessThan(20);
  expect(words("lazy validator")).toBeLessThan(150);
});

test.each([
  [3, 1],
  [6, 2],
])(
  "a pair that finds one operator's answers bad is found among %i honest ones, and its victim stays",
  (operators, seed) => {
    const world = runWorld(pairWorld(seed, operators), 3_000);
    const pair = world.parties.filter(({ character }) => character !== honest);
    expect(pair.map(foundAtTask)).not.toContain(null);
  },
);

test("with two honest operators against a pair nobody can tell which is which: nothing counts against anybody", () => {
  const world = runWorld(pairWorld(1, 2), 1_000);
  expect(world.parties.map(foundAtTask)).toEqual(world.parties.map(() => null));
});

test("the same seed is the same network", () => {
  const [first, again] = [runAudits({ seed: 3, tasks: 500 }), runAudits({ seed: 3, tasks: 500 })];
  expect(again.parties.map(({ reputation }) => reputation)).toEqual(first.parties.map(({ reputation }) => reputation));
});

test("a new node that cheats in 1 of 20 answers is suspended within 100 in more than nine lives of ten", () => {
  const delayCase = delayCases.find(({ name }) => name === "new, cheats in 1 of 20");
  if (delayCase === undefined) throw new Error("the table has no such row");
  const delays = Array.from({ length: 100 }, (_, run) => measureDelay(delayCase, 1_000 + run));
  expect(delays.filter(({ tasks }) => tasks !== null && tasks <= 100).length).toBeGreaterThan(90);
  // Two answers of it on average, and a little more.
  expect(delays.reduce((sum, { cheated }) => sum + cheated, 0)).toBeLessThan(300);
});

test("an interval by Wilson is the textbook's", () => {
  expect(wilson(81, 263)).toEqual({ low: expect.closeTo(0.2553, 4), high: expect.closeTo(0.3662, 4) });
  expect(wilson(0, 100)).toEqual({ low: 0, high: expect.closeTo(0.037, 3) });
});

describe("a checker finds", () => {
  const world = new AuditWorld(new Dice(1), { rates: usualRates, taskEveryMs: 1_000 });
  const [maker, other] = [world.add(honest, { operator: "a" }), world.add(honest, { operator: "b" })];
  const story = (effects: TaskStory["effects"]): TaskStory => ({ maker, truth: "fine", steps: [], effects });
  const failure = { type: "settle", outcome: "invalid", isGross: true, meanMargin: 1, positions: 16 } as const;
  const { operator } = other.party;

  test.each<[what: string, effects: TaskStory["effects"]]>([
    ["a failure on one operator's word", [{ ...failure, confirmedBy: [operator, operator], isShort: true }]],
    ["one on its own operator's", [{ ...failure, confirmedBy: [operator, maker.party.operator], isShort: true }]],
    ["a caller told on no word", [{ type: "tell", verdict: "invalid" }]],
    [
      "a mark on one other's word",
      [
        {
          type: "validations",
          validations: [true, false].map((wasRight) => ({ validator: other.party, wasRight, isProbe: true })),
        },
      ],
    ],
  ])("%s", (_what, effects) => {
    expect(() => checkAudits(world, story(effects))).toThrow(Violation);
  });

  test("an honest node that is suspended, and an honest validator that is silenced", () => {
    const { reputation } = other;
    other.reputation = { ...reputation, suspendedAtMs: 1 };
    expect(() => checkAudits(world, story([]))).toThrow("no honest node is suspended");
    other.reputation = { ...reputation, validator: { ...reputation.validator, suspendedAtMs: 1 } };
    expect(() => checkAudits(world, story([]))).toThrow("no honest validator is silenced");
    other.reputation = reputation;
    expect(() => checkAudits(world, story([]))).not.toThrow();
  });
});
