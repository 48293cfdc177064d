import { cpuMs } from "../process-figures.ts";
import { median } from "../quantiles.ts";
import { ms, type ReportLine } from "../report.ts";
import type { BenchGround } from "./bench-ground.ts";
import type { LoadResult } from "./load-job.ts";

const callers = [1, 16, 64] as const;
const deltas = 50;
const leastPerSecond = 900;

/** Streams a second of 50 deltas, each delta checked, as fast as the mock engine makes them. */
export async function measureStreams(ground: BenchGround): Promise<{ lines: ReportLine[]; figures: unknown }> {
  const rounds = ground.isQuick ? 1 : 3;
  const figures: { connections: number; perSecond: number; rounds: LoadResult[] }[] = [];
  const lines: ReportLine[] = [];
  for (const connections of callers) {
    const results: LoadResult[] = [];
    const cpuMicros: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const before = cpuMs(ground.network.routerPid);
      const result = await ground.load("router", {
        ...({ shape: "stream", model: "mock-instant", pieces: deltas } as const),
        ...{ connections, forMs: ground.isQuick ? 3_000 : 5_000 },
      });
      const micros = (cpuMs(ground.network.routerPid) - before) * 1_000;
      cpuMicros.push(micros / (result.requests + result.warmUpRequests));
      results.push(result);
    }
    const perSecond = median(results.map((result) => result.perSecond));
    figures.push({ connections, perSecond, rounds: results });
    lines.push({
      what: `${connections} at once`,
      value:
        `${perSecond.toFixed(0)} streams/s, first token p50 ${ms(median(results.map((result) => result.firstTokenMs.p50)))}, ` +
        `whole p50 ${ms(median(results.map((result) => result.totalMs.p50)))}, ` +
        `${median(results.map((result) => result.eventsPerStream)).toFixed(1)} events a stream, ` +
        `${median(cpuMicros).toFixed(0)} µs CPU of workerd`,
    });
  }
  const best = Math.max(...figures.map(({ perSecond }) => perSecond));
  lines.push({
    what: "at most",
    value: `${best.toFixed(0)} streams/s, ${(best * deltas).toFixed(0)} deltas/s`,
    goal: `at least ${leastPerSecond} streams/s`,
    isMet: best >= leastPerSecond,
  });
  return { lines, figures };
}
