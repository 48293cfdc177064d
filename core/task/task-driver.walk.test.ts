import { describe, expect, test } from "vitest";
import type { AttemptEvent } from "../lease/attempt-event.ts";
import { limits } from "../limits.ts";
import { seededRandom } from "../testing/seeded-random.ts";
import type { DriverEffect } from "./driver-step.ts";
import { type Mistake, ToyNetwork, textUpTo } from "./toy-network.fixture.ts";

const seeds = Array.from({ length: 3_000 }, (_, index) => index + 1);

/** Everything that is wrong with one walk; nothing where all guarantees hold. */
function walk(seed: number, mistake: Mistake = {}): { network: ToyNetwork; faults: string[] } {
  const network = new ToyNetwork(seededRandom(seed), mistake);
  network.run();
  const { driver, kind, answerTokens, delivered, text, ends, records } = network;
  const faults = [...network.faults];
  const check = (holds: boolean, fault: string) => {
    if (!holds) faults.push(fault);
  };
  const { state, attempts } = driver.task;
  const ordered = kind === "chat" ? delivered : delivered.toSorted((left, right) => left - right);
  const isExact = ordered.every((position, index) => position === index) && delivered.length <= answerTokens;
  check(isExact || (kind === "embedding" && state !== "completed"), "what came is not the answer, once and in order");
  check(kind === "embedding" || text === textUpTo(delivered.length), "the text is not that of the tokens");
  check(driver.isOver, "it never ends");
  check(ends.length === (state === "cancelled" ? 0 : 1), `${ends.length} ends of a ${state} task`);
  check((ends[0] === "end") === (state === "completed"), "what the caller is told is not what became of the task");
  check(state !== "completed" || delivered.length === answerTokens, "an answer that is not whole has ended as whole");
  const mayBeRecorded = state === "completed" ? [0] : state === "cancelled" ? [0, 1] : [1];
  check(mayBeRecorded.includes(records), `${records} records of a ${state} task`);
  check(attempts.length <= limits.attemptsPerTask, "more attempts than allowed");
  check(network.nowMs < 10 * limits.queueWaitMs, "it takes too long");
  return { network, faults };
}

describe("whatever the network does", () => {
  const walks = seeds.map((seed) => ({ seed, ...walk(seed) }));

  test("an answer comes once and in order, a task ends once, and nothing is left behind", () => {
    expect(walks.flatMap(({ seed, faults }) => faults.map((fault) => `seed ${seed}: ${fault}`))).toEqual([]);
  });

  test("the walks see every end, and failures of every kind, so they tried something", () => {
    const states = new Set(walks.map(({ network }) => network.driver.task.state));
    expect([...states].toSorted()).toEqual(["cancelled", "completed", "expired", "failed"]);
    const sum = (count: (network: ToyNetwork) => number) =>
      walks.reduce((total, { network }) => total + count(network), 0);
    expect(sum(({ counts }) => counts.failovers)).toBeGreaterThan(300);
    expect(sum(({ counts }) => counts.attaches)).toBeGreaterThan(1_000);
    expect(sum(({ driver }) => (driver.nodeIds.length > 1 ? 1 : 0))).toBeGreaterThan(100);
  });
});

/** What is told, numbered as if it were what is due: the driver cannot see a gap or a repeat. */
function renumbered(events: readonly AttemptEvent[], due: number): AttemptEvent[] {
  let seq = due;
  return events.map((event) => {
    if (event.type !== "delta") return event;
    seq += 1;
    return { ...event, seq: seq - 1 };
  });
}

function without(type: DriverEffect["type"]): Mistake {
  return { effects: (effects) => effects.filter((effect) => effect.type !== type) };
}

function twice(type: DriverEffect["type"]): Mistake {
  return {
    effects: (effects) =>
      effects.flatMap((effect): DriverEffect[] => (effect.type === type ? [effect, effect] : [effect])),
  };
}

/** One mistake each, which the checks must find: else the walks above would prove nothing. */
test.each<[mistake: string, mistake: Mistake, fault: RegExp]>([
  [
    "a gap or a repeat that is not seen",
    { events: (events, { nextSeq }) => renumbered(events, nextSeq) },
    /once and in order/,
  ],
  [
    "a continuation that leaves out a token",
    {
      effects: (effects) =>
        effects.map((effect) =>
          effect.type === "run" ? { ...effect, continues: effect.continues.slice(0, -1) } : effect,
        ),
    },
    /once and in order/,
  ],
  ["a lease that is not given back", without("withdraw"), /is left in the (queue|pool)/],
  ["a node that is not told to stop", without("cancelAttempt"), /nobody wants it/],
  ["an end that is not recorded", without("record"), /0 records of a/],
  ["an end that is told twice", twice("end"), /2 ends/],
  ["an end that is told to nobody", without("refuse"), /0 ends/],
  ["a pause that nobody ends", without("wait"), /never ends/],
  ["vectors that are not dropped", without("restart"), /once and in order/],
])("the checks would find %s", (_mistake, mistake, fault) => {
  const found = seeds.slice(0, 500).flatMap((seed) => walk(seed, mistake).faults);
  expect(found).toContainEqual(expect.stringMatching(fault));
});
