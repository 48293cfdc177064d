import { cpuMs } from "../process-figures.ts";
import { median } from "../quantiles.ts";
import type { ReportLine } from "../report.ts";
import { storyConversations } from "./conversations.ts";
import type { Contender } from "./round.ts";

const goal = 1.2;
const temperature = 0.8;
const parallels = [1, 4] as const;

/** Milliseconds a token, of the clock and of the processor. */
interface Cost {
  wallMs: number;
  cpuMs: number;
}

interface Pair {
  ours: Cost;
  plain: Cost;
}

/**
 * What a token costs where the seed alone chooses it, and where llama.cpp's own sampler draws it, at one temperature,
 * on the same prompts, in turns; and the first over the second in each round.
 */
export async function measureSampling(
  [ours, plain]: readonly [ours: Contender, plain: Contender],
  { rounds, tokens }: { rounds: number; tokens: number },
): Promise<{ lines: ReportLine[]; figures: unknown }> {
  const lines: ReportLine[] = [];
  const figures: object[] = [];
  for (const parallel of parallels) {
    const pairs: Pair[] = [];
    for (let round = 0, seed = 1; round < rounds; seed++) {
      if (seed > 4 * rounds) throw new Error("too many answers end by themselves");
      const place = { round: 10_000 + parallel * 1_000 + seed, parallel, tokens, seed };
      try {
        // In turns, so that neither always runs on a processor warmed by the other.
        const isFirst = round % 2 === 0;
        const first = await costOf(isFirst ? ours : plain, place);
        const second = await costOf(isFirst ? plain : ours, place);
        pairs.push(isFirst ? { ours: first, plain: second } : { ours: second, plain: first });
      } catch (error) {
        // An answer that ended early is no measure of anything; another seed is asked.
        if (!(error instanceof Error && error.message.includes("ended by itself"))) throw error;
        continue;
      }
      round++;
    }
    const middle = (of: (pair: Pair) => number) => median(pairs.map(of));
    const cpuRatio = middle((pair) => pair.ours.cpuMs / pair.plain.cpuMs);
    const wallRatio = middle((pair) => pair.ours.wallMs / pair.plain.wallMs);
    lines.push(
      { what: `${parallel} at once, by the seed`, value: costText(middle, (pair) => pair.ours) },
      { what: `${parallel} at once, llama.cpp's sampler`, value: costText(middle, (pair) => pair.plain) },
      {
        what: `${parallel} at once, the first over the second`,
        value: `${wallRatio.toFixed(2)}, by CPU time ${cpuRatio.toFixed(2)}`,
        goal: `at most ${goal}`,
        isMet: Math.min(wallRatio, cpuRatio) <= goal,
      },
    );
    figures.push({ parallel, tokens, temperature, rounds: pairs });
  }
  return { lines, figures };
}

function costText(middle: (of: (pair: Pair) => number) => number, of: (pair: Pair) => Cost): string {
  const wall = middle((pair) => of(pair).wallMs).toFixed(2);
  return `${wall} ms a token, ${middle((pair) => of(pair).cpuMs).toFixed(2)} ms of CPU`;
}

async function costOf(
  contender: Contender,
  { round, parallel, tokens, seed }: { round: number; parallel: number; tokens: number; seed: number },
): Promise<Cost> {
  const beforeMs = cpuMs(contender.pid);
  const conversations = storyConversations({ round, count: parallel });
  const { wallMs, answers } = await contender.run({ conversations, tokens, temperature, seed });
  const count = answers.length * tokens;
  return { wallMs: wallMs / count, cpuMs: (cpuMs(contender.pid) - beforeMs) / count };
}
