import type { Calibration } from "../../core/validation/calibration.ts";
import { median } from "../quantiles.ts";
import { type AdversaryName, adversaries, adversaryNames, isHonest } from "./adversaries.ts";
import { type SamplingName, samplingNames } from "./ask.ts";
import { clopperPearson, type Interval } from "./intervals.ts";
import { judgeCopyFirst, judgeTrial } from "./judge-trial.ts";
import { type NodeFate, type Outcome, sampleNode, shareWithin, trustedNode } from "./sampled-node.ts";
import { seededRandom } from "./seeded-random.ts";
import type { TrialRow } from "./trial-row.ts";

/** The documented threshold of Proof of Inference, of cosines of all-MiniLM-L6-v2. */
export const leastCosine = 0.85;
/** Nodes that are walked through the policy, of each kind. */
const walkedNodes = 400;
const trustedAfter = 2_000;

export interface Share extends Interval {
  hits: number;
  trials: number;
}

/** What one check says of one adversary at one temperature. */
export interface OneCheck {
  adversary: AdversaryName;
  sampling: SamplingName;
  caught: Share;
  /** Among those with 64 tokens or more. */
  caughtLong: Share;
  medianMargin: number;
  /** Nine in ten are between. */
  margins: readonly [low: number, high: number];
}

/** What is caught of the trials that all ways were tried on. */
export interface Compared {
  adversary: AdversaryName;
  sampling: SamplingName;
  byCheck: Share;
  byCosine: Share;
  byCosineOtherSeed: Share;
  byLogprobDistance: Share;
  byMeanLogprob: Share;
}

/** What the same trials come to where the copy is read first. */
export interface CopyFirst {
  adversary: AdversaryName;
  sampling: SamplingName;
  byFile: Share;
  byCopyFirst: Share;
  readTwice: Share;
  /** Medians over the trials. */
  medianMargin: { ofFile: number; ofCopy: number };
}

/** What becomes of a node under `sampled`: shares of such nodes. */
export interface Sampled {
  what: string;
  found: readonly [one: number, five: number, twenty: number, hundred: number];
  suspended: readonly [twenty: number, hundred: number];
  /** Of a node with a record of 2,000 honest tasks: tasks until half, and until 95 %, of such nodes are found. */
  trusted: readonly [half: number | null, most: number | null];
}

export const shareOf = (flags: readonly boolean[]): Share => {
  const hits = flags.filter(Boolean).length;
  return { hits, trials: flags.length, ...clopperPearson({ hits, trials: flags.length }) };
};

/** One line for each adversary and temperature that was tried. */
export function measureChecks(rows: readonly TrialRow[], calibration: Calibration): OneCheck[] {
  return groups(rows).map(({ adversary, sampling, rows: group }) => {
    const verdicts = group.map((row) => judgeTrial(row, calibration));
    const isBad = verdicts.map(({ outcome }) => outcome === "implausible");
    const margins = verdicts.map(({ meanMargin }) => meanMargin).toSorted((one, other) => one - other);
    const at = (share: number) => margins[Math.min(margins.length - 1, Math.floor(share * margins.length))] ?? 0;
    return {
      ...{ adversary, sampling, caught: shareOf(isBad) },
      caughtLong: shareOf(isBad.filter((_, index) => (group[index]?.tokens ?? 0) >= 64)),
      ...{ medianMargin: at(0.5), margins: [at(0.05), at(0.95)] },
    };
  });
}

/**
 * The same trials by check, by embeddings, and by log-probabilities. The latter two have no documented threshold: theirs
 * is the one that flags no honest trial of that temperature, the best that could be said for them.
 */
export function compareWays(rows: readonly TrialRow[], calibration: Calibration): Compared[] {
  const compared = rows.filter(({ cosine }) => cosine !== undefined);
  return groups(compared).map(({ adversary, sampling, rows: group }) => {
    const honest = compared.filter((row) => isHonest(row.adversary) && row.sampling === sampling);
    const most = Math.max(...honest.map(({ logprobDistance = 0 }) => logprobDistance));
    const least = Math.min(...honest.map(({ meanLogprob = 0 }) => meanLogprob));
    const flags = (by: (row: TrialRow) => boolean | undefined) =>
      shareOf(group.map(by).filter((flag) => flag !== undefined));
    return {
      ...{ adversary, sampling },
      byCheck: flags((row) => judgeTrial(row, calibration).outcome === "implausible"),
      byCosine: flags(({ cosine }) => isBelow(cosine, leastCosine)),
      byCosineOtherSeed: flags(({ cosineOtherSeed }) => isBelow(cosineOtherSeed, leastCosine)),
      byLogprobDistance: flags(({ logprobDistance }) => isBelow(negated(logprobDistance), -most)),
      byMeanLogprob: flags(({ meanLogprob }) => isBelow(meanLogprob, least)),
    };
  });
}

/** Of the trials that were read both ways: by the file alone, and by the copy first. */
export function measureCopyFirst(rows: readonly TrialRow[], calibration: Calibration): CopyFirst[] {
  const both = rows.filter(({ copyMargins }) => copyMargins !== undefined);
  return groups(both).map(({ adversary, sampling, rows: group }) => {
    const byFile = group.map((row) => judgeTrial(row, calibration));
    const first = group.map((row) => judgeCopyFirst(row, calibration));
    const ofCopy = group.map((row) => judgeTrial({ ...row, margins: row.copyMargins ?? [] }, calibration).meanMargin);
    return {
      ...{ adversary, sampling },
      byFile: shareOf(byFile.map(({ outcome }) => outcome === "implausible")),
      byCopyFirst: shareOf(first.map(({ verdict }) => verdict.outcome === "implausible")),
      readTwice: shareOf(first.map(({ isReadTwice }) => isReadTwice)),
      medianMargin: { ofFile: median(byFile.map(({ meanMargin }) => meanMargin)), ofCopy: median(ofCopy) },
    };
  });
}

const isBelow = (value: number | undefined, bound: number) => (value === undefined ? undefined : value < bound);
const negated = (value: number | undefined) => (value === undefined ? undefined : -value);

/** Nodes of each adversary, and those that cheat in one answer of twenty, under `sampled`. */
export function walkNodes(rows: readonly TrialRow[], calibration: Calibration): Sampled[] {
  const random = seededRandom(1);
  const outcomes = (name: string) =>
    rows
      .filter(({ adversary }) => adversary === name)
      .map((row): Outcome => {
        const { outcome, isGross } = judgeTrial(row, calibration);
        return { isBad: outcome === "implausible", isGross };
      });
  const honest = outcomes("honest");
  if (honest.length === 0) return [];
  const start = trustedNode({ tasks: trustedAfter, random });
  const draw = (from: readonly Outcome[]) =>
    from[Math.floor(random() * from.length)] ?? { isBad: false, isGross: false };
  const walk = (what: string, outcomeOf: () => Outcome): Sampled => {
    const fates = Array.from({ length: walkedNodes }, () => sampleNode({ tasks: 100, outcomeOf, random }));
    const later = Array.from({ length: walkedNodes }, () =>
      sampleNode({ tasks: 3_000, start, outcomeOf, random, until: "found" }),
    );
    const found = (tasks: number) => shareWithin(fates, "foundAfter", tasks);
    return {
      what,
      found: [found(1), found(5), found(20), found(100)],
      suspended: [shareWithin(fates, "suspendedAfter", 20), shareWithin(fates, "suspendedAfter", 100)],
      trusted: [tasksUntil(later, 0.5), tasksUntil(later, 0.95)],
    };
  };
  const lines = adversaryNames.flatMap((name) => {
    const own = outcomes(name);
    return own.length === 0 ? [] : [walk(adversaries[name].title, () => draw(own))];
  });
  const mixed = (["gemma retokenised", "q4_0"] as const).flatMap((name) => {
    const own = outcomes(name);
    if (own.length === 0) return [];
    return [walk(`1 answer in 20: ${adversaries[name].title}`, () => draw(random() < 1 / 20 ? own : honest))];
  });
  return [...lines, ...mixed];
}

/** After how many tasks this share of the nodes was found; `null` where it never came to that. */
function tasksUntil(fates: readonly NodeFate[], share: number): number | null {
  const found = fates.flatMap(({ foundAfter }) => foundAfter ?? []).toSorted((one, other) => one - other);
  return found[Math.ceil(share * fates.length) - 1] ?? null;
}

function groups(rows: readonly TrialRow[]) {
  return adversaryNames.flatMap((adversary) =>
    samplingNames.flatMap((sampling) => {
      const group = rows.filter((row) => row.adversary === adversary && row.sampling === sampling);
      return group.length === 0 ? [] : [{ adversary, sampling, rows: group }];
    }),
  );
}
