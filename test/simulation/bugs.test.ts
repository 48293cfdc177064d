import { expect, test } from "vitest";
import { type Bug, bugs } from "./bugs.ts";
import { runSimulation } from "./run-simulation.ts";

const options = { nodes: 6, tasks: 200, faults: 60, spanMs: 60_000, isStrict: false } as const;
const mostSeeds = 100;

/** The first seed in which a checker finds a mistake, and which checker it was. */
function find(bug: Bug): { seed: number; checker: string } | undefined {
  for (let seed = 1; seed <= mostSeeds; seed += 1) {
    const { violation } = runSimulation({ seed, ...options, bugs: [bug] });
    if (violation !== undefined) return { seed, checker: violation.checker };
  }
  return undefined;
}

/** Which checker finds what. `writePutOff` wants a rare meeting of three faults: `script.test.ts` arranges it. */
const finders: Readonly<Record<Exclude<Bug, "writePutOff">, string>> = {
  ackDropped: "no node is blamed for what it did not do",
  claimDoubled: "no room is given twice",
  excludeForgotten: "no task goes where it must not",
  withdrawForgotten: "nobody is found a node who has left",
  creditsIgnored: "no node is sent more than it agreed to take",
  cancelForgotten: "nothing is worked on that nobody waits for",
  heldRowForgotten: "no task is lost",
  batchForgotten: "no task is lost",
  retryForgotten: "nothing is left behind",
  pieceDelivered: "no stream has a gap or a repeat",
  continuationShort: "no stream has a gap or a repeat",
  pieceUnkept: "no stream has a gap or a repeat",
  orphanKept: "what runs is held",
};

const wanted = bugs.filter((bug) => bug !== "writePutOff");

test.each(wanted)("a mistake put in by hand is found within a hundred seeds: %s", (bug) => {
  expect(find(bug)?.checker).toBe(finders[bug]);
});

test("the same runs without a mistake are sound", () => {
  for (let seed = 1; seed <= 8; seed += 1) {
    expect(runSimulation({ seed, ...options }).violation).toBeUndefined();
  }
});
