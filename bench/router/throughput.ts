import { median } from "../quantiles.ts";
import { ms, type ReportLine } from "../report.ts";
import type { BenchGround, CostedLoad } from "./bench-ground.ts";

const callers = [1, 10, 64, 200] as const;
const ways = ["echo", "router"] as const;
type Way = (typeof ways)[number];

/** Asked of 64 callers. */
const goal = { perSecond: 3_000, shareOfEcho: 0.8, p99Ms: 40 };

/** Requests a second with short answers, beside the floor in the same run; rounds take turns. */
export async function measureThroughput(ground: BenchGround): Promise<{ lines: ReportLine[]; figures: unknown }> {
  const rounds = ground.isQuick ? 1 : 3;
  const forMs = ground.isQuick ? 3_000 : 5_000;
  const lines: ReportLine[] = [];
  const figures: object[] = [];
  for (const connections of callers) {
    const ask = { shape: "whole", model: "mock-instant", pieces: 1, connections, forMs } as const;
    const results: Record<Way, CostedLoad[]> = { echo: [], router: [] };
    for (let round = 0; round < rounds; round += 1) {
      for (const way of ways) results[way].push(await ground.loadWithCpu(way, ask));
    }
    const of = (way: Way) => {
      const middle = (read: (round: CostedLoad) => number) => median(results[way].map(read));
      return {
        perSecond: middle(({ perSecond }) => perSecond),
        p50Ms: middle(({ totalMs }) => totalMs.p50),
        p99Ms: middle(({ totalMs }) => totalMs.p99),
        maxMs: middle(({ totalMs }) => totalMs.max),
        cpuMicros: middle(({ cpuMicros }) => cpuMicros),
      };
    };
    const [echo, router] = [of("echo"), of("router")];
    const shareOfEcho = router.perSecond / echo.perSecond;
    for (const [way, figure] of [
      ["router", router],
      ["echo", echo],
    ] as const) {
      lines.push({
        what: `${connections} callers, ${way}`,
        value:
          `${figure.perSecond.toFixed(0)}/s, p50 ${ms(figure.p50Ms)}, p99 ${ms(figure.p99Ms)}, max ${ms(figure.maxMs)}, ` +
          `${figure.cpuMicros.toFixed(0)} µs CPU of workerd a request`,
      });
    }
    figures.push({ connections, shareOfEcho, echo, router, rounds: results });
    if (connections !== 64) continue;
    lines.push(
      {
        what: "64 callers, share of the echo",
        value: `${(shareOfEcho * 100).toFixed(0)} %`,
        goal: `${goal.perSecond}/s, or ${goal.shareOfEcho * 100} % of the echo`,
        isMet: router.perSecond >= goal.perSecond || shareOfEcho >= goal.shareOfEcho,
      },
      {
        what: "64 callers, p99",
        value: ms(router.p99Ms),
        goal: `under ${goal.p99Ms} ms`,
        isMet: router.p99Ms < goal.p99Ms,
      },
    );
  }
  return { lines, figures };
}
