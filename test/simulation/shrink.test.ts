import { expect, test } from "vitest";
import { failure, replayCommand, summary } from "./report.ts";
import { type RunOptions, runSimulation } from "./run-simulation.ts";
import { shrink } from "./shrink.ts";

const options: RunOptions = {
  ...{ seed: 34, nodes: 6, tasks: 60, faults: 24, spanMs: 20_000 },
  isStrict: false,
  bugs: ["heldRowForgotten"],
};

test("a run that breaks is told again with a few of its faults, by the command it prints", () => {
  const failed = runSimulation(options);
  expect(failed.violation?.checker).toBe("no task is lost");
  const smallest = shrink(failed);
  const kept = smallest.options.keepFaults ?? [];
  expect(kept.length).toBeGreaterThan(0);
  expect(kept.length).toBeLessThan(12);
  expect(smallest.violation?.checker).toBe("no task is lost");
  expect(runSimulation(smallest.options).violation).toEqual(smallest.violation);

  const text = failure(runSimulation({ ...smallest.options, notes: 50_000 }));
  expect(text).toContain("no task is lost");
  expect(text).toContain(replayCommand(smallest.options));
  expect(replayCommand(smallest.options)).toBe(
    "npm run simulate -- --seed 34 --nodes 6 --tasks 60 --faults 24 --hours 0.005556 " +
      `--keep-faults ${kept.join(",")} --bug heldRowForgotten`,
  );
});

test("a summary counts requests by their end and faults by their kind", () => {
  const { tally, firstTokensMs } = runSimulation({ ...options, seed: 1, bugs: [] });
  const text = summary(tally, { firstTokensMs });
  expect(text).toMatch(/^requests: 60$/m);
  expect(text).toMatch(/^faults: 24$/m);
  expect(text).toMatch(/^ {2}answered +\d+$/m);
});
