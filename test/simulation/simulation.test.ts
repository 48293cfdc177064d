import { describe, expect, test } from "vitest";
import { answeredWithinMs } from "./check-world.ts";
import { measureCost } from "./cost-table.ts";
import { failure } from "./report.ts";
import { type RunOptions, type RunReport, runSimulation } from "./run-simulation.ts";

/** A short run of a hundred nodes with every kind of fault. `npm run simulate` has the long ones. */
const short = { nodes: 100, tasks: 120, faults: 60, spanMs: 60_000, isStrict: false } as const;

/** Runs it; a run in which a checker fails is told again with what happened last, and fails the test with that. */
function simulate(options: RunOptions): RunReport {
  const report = runSimulation(options);
  if (report.violation === undefined) return report;
  throw new Error(failure(runSimulation({ ...options, notes: 200_000 })));
}

const seeds = (from: number, count: number) => Array.from({ length: count }, (_, index) => from + index);

describe("whatever goes wrong, no checker fails", () => {
  test.each(seeds(1, 20))("a hundred nodes, every kind of fault, seed %i", (seed) => {
    const { tally } = simulate({ seed, ...short });
    expect(tally.get("ending answered")).toBeGreaterThan(short.tasks / 2);
  });

  test.each(seeds(1, 10))("a dozen nodes in a hail of faults, seed %i", (seed) => {
    const { tally } = simulate({ seed, nodes: 12, tasks: 150, faults: 200, spanMs: 120_000, isStrict: false });
    expect(tally.under("fault ").length).toBeGreaterThan(10);
  });

  test.each(seeds(1, 3))("every frame written and parsed as on a real socket, seed %i", (seed) => {
    simulate({ seed, nodes: 12, tasks: 80, faults: 60, spanMs: 60_000, isStrict: true });
  });

  test("more nodes than one pool object holds: the pool is split, and its shards lend to each other", () => {
    const { tally } = simulate({ seed: 2, nodes: 1_300, tasks: 100, faults: 40, spanMs: 20_000, isStrict: false });
    expect(tally.get("calls of STATUS")).toBeGreaterThan(0);
    expect(tally.get("peak of shards")).toBeGreaterThan(1);
  });
});

test("the same seed is the same run, event for event", () => {
  const options = { ...short, seed: 5, notes: 1_000_000 };
  const [first, again] = [runSimulation(options), runSimulation(options)];
  expect(again.steps).toBe(first.steps);
  expect(again.notes).toEqual(first.notes);
  expect(again.tally.under("")).toEqual(first.tally.under(""));
});

test("without faults every caller who stays is answered, or told that its own prompt is too long", () => {
  const { tally } = simulate({ ...short, seed: 1, faults: 0, tasks: 400 });
  const endings = tally.under("ending ").map(([name]) => name);
  expect(["answered", "context_length_exceeded", "left"]).toEqual(expect.arrayContaining(endings));
  expect(tally.get("broken streams")).toBe(0);
  expect(tally.get("longest request, ms")).toBeLessThan(answeredWithinMs);
});

test("what a request costs does not grow with the network", () => {
  const [few, many] = [10, 400].map((nodes) => measureCost(nodes, { tasks: 150, spanMs: 150_000 }));
  if (few === undefined || many === undefined) throw new Error("nothing was measured");
  for (const { objectCalls, messages, rows } of [few, many]) {
    // A claim, a run, and what the node's object tells its pool of both ends of it.
    expect(objectCalls).toBeLessThan(5);
    // Held, ended, sent; and now and then a member's row.
    expect(rows).toBeLessThan(4.5);
    expect(messages).toBeLessThan(90);
  }
  expect(many.objectCalls).toBeLessThan(1.2 * few.objectCalls);
  // A busy node sends pieces of several answers in one message, so that few nodes need fewer.
  expect(many.messages).toBeLessThan(1.4 * few.messages);
});
