import { expect, test } from "vitest";
import { writeReport } from "./chaos-report.ts";
import { runFaults } from "./fault-run.ts";
import { faultTable } from "./fault-table.ts";
import type { ChaosNetwork } from "./network.ts";
import { settings } from "./settings.ts";

/** Longest that one fault and its stream may take on a slow machine; two go on at a time. */
const faultMs = 60_000;

/** Many faults in a row on a network of three nodes; prints the counts, and writes them where that is asked for. */
export function describeFaultsInARow(getNetwork: () => ChaosNetwork): void {
  const { faults: count, seed } = settings;

  test(`${count} faults in a row: no client sees a broken stream, and no task is lost or recorded twice`, {
    timeout: count * faultMs,
  }, async () => {
    const result = await runFaults(getNetwork(), { count, seed, say: (line) => console.log(line) });
    const { outcomes, streams, tasks } = result;
    console.log(`${count} faults, seed ${seed}\n\n${faultTable(outcomes)}\n`);
    writeReport("faults", { seed, ...result });
    expect(outcomes.flatMap(({ answerProblems }) => answerProblems)).toEqual([]);
    expect(outcomes.flatMap(({ recordProblems }) => recordProblems)).toEqual([]);
    expect([outcomes.length, tasks]).toEqual([count, streams]);
  });
}
