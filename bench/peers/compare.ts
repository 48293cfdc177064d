import { cpuMs } from "../process-figures.ts";
import { median } from "../quantiles.ts";
import { ms, type ReportLine } from "../report.ts";
import type { LoadResult } from "../router/load-job.ts";
import { tryLoad } from "../router/run-load.ts";
import type { Way } from "./way.ts";

/** One shape of load, asked of all ways in turn. */
export interface Comparison {
  what: string;
  shape: "whole" | "stream";
  pieces: number;
  connections: number;
}

/** One round on one way. */
interface Round extends LoadResult {
  cpuMicros: number;
}

/** Asks all ways in turn, round after round, and tells the medians of each. Answers that fail are told, not hidden. */
export async function compare(
  comparison: Comparison,
  ways: readonly Way[],
  { folder, rounds, forMs, warmUpMs }: { folder: string; rounds: number; forMs: number; warmUpMs: number },
): Promise<{ lines: ReportLine[]; figures: unknown }> {
  const { what, shape, pieces, connections } = comparison;
  const results = new Map<Way, Round[]>(ways.map((way) => [way, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const [way, ofWay] of results) {
      const before = cpuMs(way.pid);
      const result = await tryLoad(
        {
          ...{ url: way.url, headers: way.headers, shape, model: "mock-instant", pieces, connections },
          ...{ warmUpMs, forMs, requests: null },
        },
        { folder },
      );
      const micros = (cpuMs(way.pid) - before) * 1_000;
      ofWay.push({ ...result, cpuMicros: micros / Math.max(1, result.requests + result.warmUpRequests) });
    }
  }
  const lines = [...results].map(([way, ofWay]) => lineOf(`${what}: ${way.name}`, shape, ofWay));
  return {
    lines,
    figures: { ...comparison, ways: [...results].map(([way, ofWay]) => ({ name: way.name, rounds: ofWay })) },
  };
}

function lineOf(what: string, shape: Comparison["shape"], rounds: readonly Round[]): ReportLine {
  const middle = (read: (round: Round) => number) => median(rounds.map(read));
  const failed = rounds.reduce((sum, { errors }) => sum + errors, 0);
  const firstError = rounds.find((round) => round.firstError !== null)?.firstError?.slice(0, 120);
  const firstToken =
    shape === "stream" ? `first token p50 ${ms(middle(({ firstTokenMs }) => firstTokenMs.p50))}, ` : "";
  return {
    what,
    value:
      `${middle(({ perSecond }) => perSecond).toFixed(0)}/s, ${firstToken}p50 ${ms(middle(({ totalMs }) => totalMs.p50))}, ` +
      `p99 ${ms(middle(({ totalMs }) => totalMs.p99))}, ${middle(({ cpuMicros }) => cpuMicros).toFixed(0)} µs CPU` +
      (failed === 0 ? "" : `; ${failed} FAILED: ${firstError}`),
  };
}
