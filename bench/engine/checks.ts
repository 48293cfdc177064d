import { cpuMs } from "../process-figures.ts";
import { median } from "../quantiles.ts";
import { ms, type ReportLine } from "../report.ts";
import { storyConversations } from "./conversations.ts";
import type { Contender, Round, RoundResult } from "./round.ts";

const goals = { share: 1 / 3, slower: 0.1 } as const;
const temperature = 0.8;
/** Looked at: one position in eight; all of them for comparison. */
const every = 8;
/** One task in twenty is checked while four run at once. */
const tasks = { count: 20, atOnce: 4 } as const;

type Measured = RoundResult & { cpuMs: number };
interface CheckCost {
  answer: Measured;
  check: Measured;
}
type Check = NonNullable<Round["checks"]>[number];

interface Size {
  rounds: number;
  /** Of an answer that is checked alone, and of those that are made beside a check. */
  tokens: number;
  taskTokens: number;
}

/** What a check costs beside generating the answer it checks, in turns. */
export async function measureCheckCost(
  ours: Contender,
  { rounds, tokens }: Size,
): Promise<{ lines: ReportLine[]; figures: unknown }> {
  const costs: { some: CheckCost; all: CheckCost }[] = [];
  const cost = async (seed: number, every: number): Promise<CheckCost> => {
    const conversations = storyConversations({ round: 20_000 + 2 * seed + (every === 1 ? 1 : 0), count: 1 });
    const round = { tokens, temperature, seed };
    const answer = await measured(ours, { ...round, conversations });
    const checks = [checkOf(answer, conversations, every)];
    return { answer, check: await measured(ours, { ...round, conversations: [], checks }) };
  };
  await repeat(rounds, async (seed) => void costs.push({ some: await cost(seed, every), all: await cost(seed, 1) }));
  return { lines: costLines(costs, tokens), figures: costs };
}

/**
 * That, and how much slower twenty answers are, four at a time, while the node checks another answer as long as one of
 * them.
 */
export async function measureChecks(ours: Contender, size: Size): Promise<{ lines: ReportLine[]; figures: unknown }> {
  const { rounds, taskTokens } = size;
  const cost = await measureCheckCost(ours, size);
  const pairs: { without: Measured; with: Measured }[] = [];
  await repeat(rounds, async (seed) => {
    const round = { tokens: taskTokens, temperature, seed, atOnce: tasks.atOnce };
    const one = storyConversations({ round: 30_000 + seed, count: 1 });
    const check = checkOf(await measured(ours, { ...round, conversations: one }), one, every);
    const run = (part: number, checks: Check[]) =>
      measured(ours, {
        ...round,
        checks,
        conversations: storyConversations({ round: 40_000 + 2 * seed + part, count: tasks.count }),
      });
    const isFirst = seed % 2 === 0;
    const first = await run(0, isFirst ? [check] : []);
    const second = await run(1, isFirst ? [] : [check]);
    pairs.push(isFirst ? { with: first, without: second } : { with: second, without: first });
  });
  return {
    lines: [...cost.lines, ...besideLines(pairs, taskTokens)],
    figures: { costs: cost.figures, pairs },
  };
}

const shareOf = ({ answer, check }: CheckCost): number => check.cpuMs / answer.cpuMs;

function costLines(costs: { some: CheckCost; all: CheckCost }[], tokens: number): ReportLine[] {
  const middle = (of: (cost: (typeof costs)[number]) => number) => median(costs.map(of));
  const share = middle(({ some }) => shareOf(some));
  const most = Math.max(...costs.map(({ some }) => shareOf(some)));
  const margins = costs.map(({ some }) => some.check.checks[0]?.meanMargin ?? Number.NaN);
  return [
    { what: `generating ${tokens} tokens, CPU`, value: ms(middle(({ some }) => some.answer.cpuMs)) },
    { what: `checking one position in ${every}, CPU`, value: ms(middle(({ some }) => some.check.cpuMs)) },
    { what: "checking every position, CPU", value: ms(middle(({ all }) => all.check.cpuMs)) },
    {
      what: "the check's share of the answer",
      value: `${share.toFixed(2)}, at most ${most.toFixed(2)} (every position ${middle(({ all }) => shareOf(all)).toFixed(2)})`,
      goal: "at most 1/3",
      isMet: share <= goals.share,
    },
    { what: "mean margins", value: margins.map((margin) => margin.toFixed(4)).join(", ") },
  ];
}

function besideLines(pairs: { without: Measured; with: Measured }[], taskTokens: number): ReportLine[] {
  const middle = (of: (pair: (typeof pairs)[number]) => number) => median(pairs.map(of));
  const slower = middle((pair) => pair.with.wallMs / pair.without.wallMs - 1);
  // The check's own time is in it; other work on the machine disturbs it less.
  const moreCpu = middle((pair) => pair.with.cpuMs / pair.without.cpuMs - 1);
  return [
    {
      what: `${tasks.count} answers of ${taskTokens} tokens, ${tasks.atOnce} at once, without and with a check`,
      value: `${ms(middle((pair) => pair.without.wallMs))}, ${ms(middle((pair) => pair.with.wallMs))}`,
    },
    {
      what: "slower while one in twenty is checked",
      value: `${(100 * slower).toFixed(1)} %, by CPU time ${(100 * moreCpu).toFixed(1)} %`,
      goal: "at most 10 %",
      isMet: Math.min(slower, moreCpu) <= goals.slower,
    },
    { what: "the check is over after", value: ms(middle((pair) => pair.with.checks[0]?.ms ?? Number.NaN)) },
  ];
}

function checkOf({ answers }: RoundResult, [messages]: Round["conversations"], every: number): Check {
  const [answer] = answers;
  if (answer?.tokenIds === undefined || messages === undefined) throw new Error("there is no answer to check");
  return { messages, tokenIds: answer.tokenIds, text: answer.text, every };
}

/** Does it with one seed after another, passing over those whose answers end by themselves. */
async function repeat(rounds: number, measure: (seed: number) => Promise<void>): Promise<void> {
  for (let done = 0, seed = 1; done < rounds; seed++) {
    if (seed > 6 * rounds) throw new Error("too many answers end by themselves");
    try {
      await measure(seed);
      done++;
    } catch (error) {
      if (!(error instanceof Error && error.message.includes("ended by itself"))) throw error;
    }
  }
}

async function measured(ours: Contender, round: Round): Promise<Measured> {
  const beforeMs = cpuMs(ours.pid);
  const result = await ours.run(round);
  return { ...result, cpuMs: cpuMs(ours.pid) - beforeMs };
}
