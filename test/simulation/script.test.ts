import { describe, expect, test } from "vitest";
import type { FaultKind } from "./faults.ts";
import { failure } from "./report.ts";
import { type RunOptions, type RunReport, runSimulation } from "./run-simulation.ts";
import { toyTaskId } from "./toy-answer.ts";

type Script = NonNullable<RunOptions["script"]>;

/** A network of a few nodes in which only what the script says happens. */
function play(script: Script, options: Partial<RunOptions> = {}): RunReport {
  const quiet = { tasks: 0, faults: 0, spanMs: 5_000, settleMs: 100_000, isStrict: false };
  return runSimulation({ seed: 1, nodes: 1, ...quiet, script, ...options });
}

function playSound(script: Script, options: Partial<RunOptions> = {}): RunReport {
  const report = play(script, options);
  if (report.violation === undefined) return report;
  throw new Error(failure(play(script, { ...options, notes: 10_000 })));
}

const stateOf = (report: RunReport, number: number) => report.postgres.tasks.get(toyTaskId(number))?.state;
const chat = (maxTokens: number) => ({
  kind: "chat" as const,
  messages: [{ role: "user" as const, content: "tell me" }],
  sampling: { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, seed: 1, stop: [], maxTokens },
});
const order = { atMs: 0, order: { input: chat(60), isWhole: false, leavesAfterMs: null, conversation: null } };

/** What goes wrong at one moment of one answer. */
const kinds: readonly { kind: FaultKind; durationMs: number }[] = [
  { kind: "nodeKilled", durationMs: 3_000 },
  { kind: "nodeStopped", durationMs: 10_000 },
  { kind: "nodeDrained", durationMs: 3_000 },
  { kind: "engineBroken", durationMs: 1 },
  { kind: "socketCut", durationMs: 1 },
  { kind: "nodeCutOff", durationMs: 5_000 },
  { kind: "wayBlocked", durationMs: 1_000 },
  { kind: "wayBlocked", durationMs: 20_000 },
  { kind: "nodeObjectReset", durationMs: 1 },
  { kind: "poolObjectReset", durationMs: 1 },
  { kind: "deployment", durationMs: 1 },
  { kind: "callsLost", durationMs: 2_000 },
  { kind: "alarmTwice", durationMs: 1 },
];

describe("an answer is whole, in order, and on record once, whenever it happens that", () => {
  test.each(kinds)("$kind for $durationMs ms", ({ kind, durationMs }) => {
    // From the request until after its end; the steps are of no whole number of the node's own.
    for (let atMs = 1; atMs < 3_500; atMs += 89) {
      const fault = { atMs, kind, durationMs, strength: 0.9 };
      const report = playSound({ orders: [order], faults: [fault] }, { nodes: 3, seed: atMs });
      expect(report.tally.get("ending answered")).toBe(1);
      expect(stateOf(report, 1)).toBe("completed");
    }
  });
});

/** What broke once, arranged by hand: each line tells of the mistake. */
describe("what broke once stays mended", () => {
  test("a clock that is set back does not put off the writing of a record until a reset has lost it", () => {
    const script: Script = {
      orders: [{ atMs: 0, order: { ...order.order, input: chat(20) } }],
      faults: [
        { atMs: 400, kind: "clockSkewed", durationMs: 1 },
        { atMs: 3_000, kind: "nodeKilled", durationMs: 1_000 },
        { atMs: 3_000, kind: "nodeObjectReset", durationMs: 1 },
      ],
    };
    expect(stateOf(playSound(script), 1)).toBe("completed");
    expect(play(script, { bugs: ["writePutOff"] }).violation?.checker).toBe("no task is lost");
  });

  test("a node is not blamed for giving up what had been cancelled before its object was reset", () => {
    const script: Script = {
      orders: [{ atMs: 0, order: { ...order.order, input: chat(400), leavesAfterMs: 1_500 } }],
      faults: [
        { atMs: 1_400, kind: "nodeStopped", durationMs: 34_000 },
        { atMs: 2_000, kind: "nodeObjectReset", durationMs: 1 },
      ],
    };
    const report = playSound(script);
    expect(stateOf(report, 1)).toBeOneOf(["cancelled", "failed"]);
  });

  test("a Worker that dies leaves no task open on record", () => {
    for (let atMs = 0; atMs < 3_000; atMs += 211) {
      const report = playSound({ orders: [order], faults: [{ atMs, kind: "workerDied", durationMs: 1 }] });
      expect(report.tally.get("ending cutOff") + report.tally.get("ending answered")).toBe(1);
    }
  });
});
