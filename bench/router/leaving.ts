import { quantilesOf } from "../quantiles.ts";
import { ms, type ReportLine } from "../report.ts";
import type { BenchGround } from "./bench-ground.ts";
import { leaveStream } from "./leave-stream.ts";

/**
 * How long after a reader has left its node is told to stop. `reset` breaks the connection (RST) in the midst of an
 * answer; `close` ends it without a word while no token comes, which only the keep-alive comment can notice.
 */
const cases = [
  { what: "reset while tokens come", how: "reset", model: "mock-paced", mostMs: 250 },
  { what: "closed while tokens come", how: "close", model: "mock-paced", mostMs: 1_000 },
  { what: "reset in silence", how: "reset", model: "mock-silent", mostMs: 250 },
  { what: "closed in silence", how: "close", model: "mock-silent", mostMs: 1_000 },
] as const;

/** For each way to leave: times from the reader's leaving to the stop on the node, both clocks this machine's. */
export async function measureLeaving(ground: BenchGround): Promise<{ lines: ReportLine[]; figures: unknown }> {
  const trials = ground.isQuick ? 8 : 30;
  const lines: ReportLine[] = [];
  const figures: object[] = [];
  for (const { what, how, model, mostMs } of cases) {
    const times: number[] = [];
    for (let trial = 0; trial < trials; trial += 1) {
      const prompt = `${what} ${trial}`;
      const { origin, apiKey } = ground.network;
      const leftAtMs = await leaveStream({ origin, apiKey, prompt, model, how });
      times.push((await ground.network.stoppedAt(prompt, { withinMs: 10_000 })) - leftAtMs);
    }
    const quantiles = quantilesOf(times);
    figures.push({ what, quantiles, times });
    lines.push({
      what,
      value: `node stopped after p50 ${ms(quantiles.p50)}, at most ${ms(quantiles.max)} of ${trials}`,
      goal: `within ${mostMs} ms`,
      isMet: quantiles.max <= mostMs,
    });
  }
  return { lines, figures };
}
