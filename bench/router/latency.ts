import { median } from "../quantiles.ts";
import { ms, type ReportLine } from "../report.ts";
import type { BenchGround, Way } from "./bench-ground.ts";
import type { LoadResult } from "./load-job.ts";

const mostAddedMs = 0.8;
const ways: readonly Way[] = ["direct", "echo", "router"];

/**
 * What the way through the router adds to one request at a time. Rounds of the three ways take turns, since a machine's
 * mood changes; the figures are medians over the rounds.
 */
export async function measureLatency(ground: BenchGround): Promise<{ lines: ReportLine[]; figures: unknown }> {
  const rounds = ground.isQuick ? 2 : 5;
  const results: Record<Way, LoadResult[]> = { direct: [], echo: [], router: [] };
  for (let round = 0; round < rounds; round += 1) {
    for (const way of ways) {
      const ask = { shape: "whole", model: "mock-instant", pieces: 1, connections: 1, forMs: 2_000 } as const;
      results[way].push(await ground.load(way, ask));
    }
  }
  const middle = (way: Way, quantile: "p50" | "p99") => median(results[way].map(({ totalMs }) => totalMs[quantile]));
  const added = results.router.map(({ totalMs }, round) => totalMs.p50 - (results.direct[round]?.totalMs.p50 ?? 0));
  const addedMs = median(added);
  return {
    lines: [
      ...ways.map((way) => ({ what: way, value: `p50 ${ms(middle(way, "p50"))}, p99 ${ms(middle(way, "p99"))}` })),
      {
        what: "added over direct",
        value: `${ms(addedMs)} at the median, of ${rounds} pairs of rounds`,
        goal: `at most ${mostAddedMs} ms`,
        isMet: addedMs <= mostAddedMs,
      },
      { what: "added over the echo", value: ms(middle("router", "p50") - middle("echo", "p50")) },
    ],
    figures: { addedMs, rounds: results },
  };
}
