import { ms, type ReportLine } from "../report.ts";
import type { BenchGround } from "./bench-ground.ts";
import type { Quantiles } from "./load-job.ts";

const goal = { firstTokenMs: 10, addedGapMs: 25 };

/**
 * Sixty-four readers at a reader's pace, who begin in turns, 20 ms between deltas, beside the direct path and the floor:
 * when the first token comes, and what the way adds to the gaps, since it gathers deltas of many answers into one frame.
 */
export async function measurePaced(ground: BenchGround): Promise<{ lines: ReportLine[]; figures: unknown }> {
  const ask = {
    ...({ shape: "stream", model: "mock-paced", pieces: 50, connections: 64 } as const),
    // One answer's length.
    spreadMs: 1_000,
    forMs: ground.isQuick ? 3_000 : 10_000,
  };
  const direct = await ground.load("direct", ask);
  const echo = await ground.loadWithCpu("echo", ask);
  const router = await ground.loadWithCpu("router", ask);
  const addedGapMs = router.gapMs.p99 - direct.gapMs.p99;
  const told = ({ p50, p99 }: Quantiles) => `p50 ${ms(p50)}, p99 ${ms(p99)}`;
  return {
    lines: [
      { what: "first token, direct", value: told(direct.firstTokenMs) },
      { what: "first token, echo", value: told(echo.firstTokenMs) },
      {
        what: "first token, router",
        value: told(router.firstTokenMs),
        goal: `at most ${goal.firstTokenMs} ms at the median`,
        isMet: router.firstTokenMs.p50 <= goal.firstTokenMs,
      },
      {
        what: "CPU of workerd a stream",
        value: `${router.cpuMicros.toFixed(0)} µs, the echo ${echo.cpuMicros.toFixed(0)} µs`,
      },
      { what: "gap, direct", value: told(direct.gapMs) },
      { what: "gap, echo", value: told(echo.gapMs) },
      { what: "gap, router", value: told(router.gapMs) },
      {
        what: "added to the gap at p99",
        value: `${ms(addedGapMs)} (the echo adds ${ms(echo.gapMs.p99 - direct.gapMs.p99)})`,
        goal: `at most ${goal.addedGapMs} ms`,
        isMet: addedGapMs <= goal.addedGapMs,
      },
    ],
    figures: { direct, echo, router, addedGapMs },
  };
}
