import { describe, expect, test } from "vitest";
import { parseTrace, type TraceEntry, TraceUnreadable } from "../../core/trace/trace.ts";
import { replayTrace } from "./replay-trace.ts";
import { runSimulation } from "./run-simulation.ts";

const { traces, violation } = runSimulation({
  ...{ seed: 3, nodes: 8, tasks: 120, faults: 40, spanMs: 60_000 },
  ...{ isStrict: false, isTraced: true },
});
const entriesOf = (object: TraceEntry["object"]) =>
  [...traces.values()].flatMap((trace) => [...trace.entries]).filter((entry) => entry.object === object);

test("a trace of every object of a run is exported, read and told again without a fault", () => {
  expect(violation).toBeUndefined();
  expect(entriesOf("node").length).toBeGreaterThan(1_000);
  expect(entriesOf("pool").length).toBeGreaterThan(300);
  for (const trace of traces.values()) {
    const entries = parseTrace(trace.toText());
    expect(entries).toEqual(trace.entries);
    expect(replayTrace(entries)).toEqual({ entries: entries.length, objects: 1, violation: undefined });
  }
});

test("a trace that begins in the middle is told as far as it goes", () => {
  const entries = entriesOf("node");
  expect(replayTrace(entries.slice(Math.floor(entries.length / 2))).violation).toBeUndefined();
});

describe("a trace shows what went wrong", () => {
  test("a piece that never came is found at the one after it", () => {
    const entries = entriesOf("node");
    const lost = entries.findIndex(({ input }) => input.type === "delta" && input.piece.seq === 3);
    const report = replayTrace(entries.filter((_, index) => index !== lost));
    expect(report.violation?.checker).toBe("no node is blamed for what it did not do");
    expect(report.violation?.message).toContain("came where 3 was due");
  });
});

test.each<[guarantee: string, text: string, problem: RegExp]>([
  ["a line that is not JSON is refused by its number", '{"atMs":', /Line 1 /],
  [
    "a line of an unknown input is refused",
    '\n{"atMs":1,"object":"node","name":"n","input":{"type":"shout"}}',
    /Line 2 /,
  ],
  [
    "an unknown field is refused",
    '{"atMs":1,"object":"pool","name":"p","draws":[],"extra":1,"input":{"type":"expire"}}',
    /Line 1 /,
  ],
])("%s", (_guarantee, text, problem) => {
  expect(() => parseTrace(text)).toThrow(TraceUnreadable);
  expect(() => parseTrace(text)).toThrow(problem);
});
