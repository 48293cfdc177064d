import { ms, type ReportLine } from "../report.ts";
import type { BenchGround } from "./bench-ground.ts";

const goal = { firstTokenMs: 10, addedGapMs: 25 };

/**
 * Sixty-four readers at a reader's pace, who begin in turns, 20 ms between deltas, beside the direct path: when the first token comes, and
 * what the way adds to the gaps, since it gathers deltas of many answers into one frame.
 */
export async function measurePaced(ground: BenchGround): Promise<{ lines: ReportLine[]; figures: unknown }> {
  const ask = {
    ...({ shape: "stream", model: "mock-paced", pieces: 50, connections: 64 } as const),
    // One answer's length.
    spreadMs: 1_000,
    forMs: ground.isQuick ? 3_000 : 10_000,
  };
  const direct = await ground.load("direct", ask);
  const router = await ground.load("router", ask);
  const addedGapMs = router.gapMs.p99 - direct.gapMs.p99;
  return {
    lines: [
      {
        what: "first token, direct",
        value: `p50 ${ms(direct.firstTokenMs.p50)}, p99 ${ms(direct.firstTokenMs.p99)}`,
      },
      {
        what: "first token, router",
        value: `p50 ${ms(router.firstTokenMs.p50)}, p99 ${ms(router.firstTokenMs.p99)}`,
        goal: `at most ${goal.firstTokenMs} ms at the median`,
        isMet: router.firstTokenMs.p50 <= goal.firstTokenMs,
      },
      { what: "gap, direct", value: `p50 ${ms(direct.gapMs.p50)}, p99 ${ms(direct.gapMs.p99)}` },
      { what: "gap, router", value: `p50 ${ms(router.gapMs.p50)}, p99 ${ms(router.gapMs.p99)}` },
      {
        what: "added to the gap at p99",
        value: ms(addedGapMs),
        goal: `at most ${goal.addedGapMs} ms`,
        isMet: addedGapMs <= goal.addedGapMs,
      },
    ],
    figures: { direct, router, addedGapMs },
  };
}
