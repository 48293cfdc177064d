import { cpuMs } from "../process-figures.ts";
import { median } from "../quantiles.ts";
import { ms, type ReportLine } from "../report.ts";
import { storyConversations } from "./conversations.ts";
import { type Contender, type RoundResult, tokensPerSecond } from "./round.ts";

const goal = { parallel: 4, share: 0.9 };
const parallels = [1, 2, 4, 8] as const;

/** A round with the CPU time that its engine's process used. */
type Measured = RoundResult & { cpuMs: number };
/** One round of each contender on the same conversations, by name. */
type Pair = Readonly<Record<string, Measured>>;

/**
 * Tokens a second at 1, 2, 4 and 8 conversations at once, contender after contender in turns on the same prompts, and
 * the first contender's share of each other one's in the same round. Medians of the rounds. The same per second of CPU
 * time, which other work on the machine disturbs less.
 */
export async function measureThroughput(
  contenders: readonly [ours: Contender, ...others: Contender[]],
  { rounds, tokens }: { rounds: number; tokens: number },
): Promise<{ lines: ReportLine[]; figures: unknown }> {
  const lines: ReportLine[] = [];
  const figures: object[] = [];
  for (const parallel of parallels) {
    const pairs: Pair[] = [];
    for (let round = 0; round < rounds; round++) {
      const conversations = storyConversations({ round: parallel * 1_000 + round, count: parallel });
      const results: Record<string, Measured> = {};
      // The order turns round, so that neither always runs on a processor warmed by the other.
      for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
        const beforeMs = cpuMs(contender.pid);
        const result = await contender.run({ conversations, tokens });
        results[contender.name] = { ...result, cpuMs: cpuMs(contender.pid) - beforeMs };
      }
      ensureSameWork(results, tokens);
      pairs.push(results);
    }
    lines.push(...linesOf({ parallel, pairs, contenders }));
    figures.push({ parallel, tokens, rounds: pairs.map(figuresOf) });
  }
  return { lines, figures };
}

function linesOf({
  parallel,
  pairs,
  contenders: [ours, ...others],
}: {
  parallel: number;
  pairs: readonly Pair[];
  contenders: readonly [ours: Contender, ...others: Contender[]];
}): ReportLine[] {
  const speeds = [ours, ...others].map(({ name }): ReportLine => {
    const speed = median(pairs.map((pair) => speedOf(pair, name)));
    const first = median(pairs.flatMap((pair) => pair[name]?.answers.map((answer) => answer.firstTokenMs) ?? []));
    return {
      what: `${parallel} at once, ${name}`,
      value: `${speed.toFixed(1)} tokens/s, first token after ${ms(first)}`,
    };
  });
  const shares = others.map(({ name }, index): ReportLine => {
    const ratios = pairs.map((pair) => speedOf(pair, ours.name) / speedOf(pair, name));
    const cpuRatios = pairs.map((pair) => (pair[name]?.cpuMs ?? Number.NaN) / (pair[ours.name]?.cpuMs ?? Number.NaN));
    const share = median(ratios);
    const each = ratios.map((ratio) => ratio.toFixed(2)).join(", ");
    const line = {
      what: `${parallel} at once, ours / ${name}`,
      value: `${share.toFixed(2)} (${each}), by CPU time ${median(cpuRatios).toFixed(2)}`,
    };
    if (index > 0 || parallel !== goal.parallel) return line;
    return { ...line, goal: `at least ${goal.share}`, isMet: share >= goal.share };
  });
  return [...speeds, ...shares];
}

function speedOf(pair: Pair, name: string): number {
  const result = pair[name];
  return result === undefined ? Number.NaN : tokensPerSecond(result);
}

/** A comparison counts only where all read the same prompts and wrote as many tokens. */
function ensureSameWork(results: Pair, tokens: number): void {
  const [first, ...others] = Object.values(results).map(({ answers }) => answers);
  for (const answers of [first ?? [], ...others]) {
    for (const [place, answer] of answers.entries()) {
      if (answer.tokens !== tokens) throw new Error(`an answer has ${answer.tokens} tokens and not ${tokens}`);
      const expected = first?.[place]?.promptTokens;
      if (answer.promptTokens !== expected)
        throw new Error(`a prompt has ${answer.promptTokens} tokens and ${expected}`);
    }
  }
}

function figuresOf(pair: Pair): object {
  return Object.fromEntries(
    Object.entries(pair).map(([name, result]) => [
      name,
      {
        tokensPerSecond: tokensPerSecond(result),
        wallMs: result.wallMs,
        cpuMs: result.cpuMs,
        firstTokenMs: result.answers.map((answer) => answer.firstTokenMs),
        promptTokens: result.answers.map((answer) => answer.promptTokens),
      },
    ]),
  );
}
