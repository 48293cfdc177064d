import { median } from "../quantiles.ts";
import { ms, type ReportLine } from "../report.ts";
import type { BenchGround, CostedLoad } from "./bench-ground.ts";

const callers = [1, 16, 64] as const;
const ways = ["echo", "router"] as const;
type Way = (typeof ways)[number];
const deltas = 50;
const leastPerSecond = 900;

/**
 * Streams a second of 50 deltas, each delta checked, as fast as the mock engine makes them, beside the floor in the same
 * run; rounds take turns.
 */
export async function measureStreams(ground: BenchGround): Promise<{ lines: ReportLine[]; figures: unknown }> {
  const rounds = ground.isQuick ? 1 : 3;
  const forMs = ground.isQuick ? 3_000 : 5_000;
  const figures: { connections: number; perSecond: Record<Way, number>; rounds: Record<Way, CostedLoad[]> }[] = [];
  const lines: ReportLine[] = [];
  for (const connections of callers) {
    const ask = { shape: "stream", model: "mock-instant", pieces: deltas, connections, forMs } as const;
    const results: Record<Way, CostedLoad[]> = { echo: [], router: [] };
    for (let round = 0; round < rounds; round += 1) {
      for (const way of ways) results[way].push(await ground.loadWithCpu(way, ask));
    }
    const middle = (way: Way, read: (round: CostedLoad) => number) => median(results[way].map(read));
    for (const way of ["router", "echo"] as const) {
      lines.push({
        what: `${connections} at once, ${way}`,
        value:
          `${middle(way, ({ perSecond }) => perSecond).toFixed(0)} streams/s, ` +
          `first token p50 ${ms(middle(way, ({ firstTokenMs }) => firstTokenMs.p50))}, ` +
          `whole p50 ${ms(middle(way, ({ totalMs }) => totalMs.p50))}, ` +
          `${middle(way, ({ eventsPerStream }) => eventsPerStream).toFixed(1)} events a stream, ` +
          `${middle(way, ({ cpuMicros }) => cpuMicros).toFixed(0)} µs CPU of workerd`,
      });
    }
    const perSecond = (way: Way) => middle(way, (round) => round.perSecond);
    figures.push({
      connections,
      perSecond: { echo: perSecond("echo"), router: perSecond("router") },
      rounds: results,
    });
  }
  const best = (way: Way) => Math.max(...figures.map(({ perSecond }) => perSecond[way]));
  lines.push({
    what: "at most",
    value:
      `${best("router").toFixed(0)} streams/s, ${(best("router") * deltas).toFixed(0)} deltas/s; ` +
      `the echo ${best("echo").toFixed(0)} streams/s`,
    goal: `at least ${leastPerSecond} streams/s`,
    isMet: best("router") >= leastPerSecond,
  });
  return { lines, figures };
}
