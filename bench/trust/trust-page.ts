import type { Calibration } from "../../core/validation/calibration.ts";
import type { Machine } from "../machine.ts";
import { adversaries, isHonest } from "./adversaries.ts";
import { clopperPearson } from "./intervals.ts";
import { honestCalibration } from "./judge-trial.ts";
import {
  type Compared,
  type CopyFirst,
  compareWays,
  measureChecks,
  measureCopyFirst,
  type OneCheck,
  type Sampled,
  type Share,
  walkNodes,
} from "./measured.ts";
import type { TrialRow } from "./trial-row.ts";

const marks = { from: "<!-- measured: `npm run bench:trust` writes what follows -->", to: "<!-- /measured -->" };

/** A page with the text between its marks replaced by `measured`. Throws where it has no marks. */
export function intoPage(page: string, measured: string): string {
  const [from, to] = [page.indexOf(marks.from), page.indexOf(marks.to)];
  if (from === -1 || to < from) throw new Error(`the page has no ${marks.from} … ${marks.to}`);
  return `${page.slice(0, from + marks.from.length)}\n${measured}\n${page.slice(to)}`;
}

/** All tables, in Markdown. */
export function renderMeasured(
  all: readonly TrialRow[],
  { machine, measuredOn }: { machine: Machine; measuredOn: string },
): string {
  const calibration = honestCalibration();
  // What was read by the copy too are the same trials once more.
  const rows = all.filter(({ copyMargins }) => copyMargins === undefined);
  const [checks, nodes] = [measureChecks(rows, calibration), walkNodes(rows, calibration)];
  return [
    `Measured on ${measuredOn}: ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}; ${count(rows.length)} checks. ${judgedBy(calibration)}`,
    goals(checks, nodes),
    "### One check",
    checksTable(checks),
    "### A node under `sampled`",
    sampledTable(nodes),
    "### The same trials by embeddings and by log-probabilities",
    comparedTable(compareWays(rows, calibration)),
    "### With a reading copy first",
    copyFirstTable(measureCopyFirst(all, calibration)),
  ].join("\n\n");
}

function judgedBy({ isMeasured, thresholds, trials, measuredOn }: Calibration): string {
  const limits = thresholds.map(({ fromPositions, meanMargin }) => `${meanMargin} from ${fromPositions} positions on`);
  const source = isMeasured
    ? `${count(trials)} honest pairs of ${measuredOn}`
    : "the default for models that were not measured";
  return `An answer is implausible where its mean margin is above ${limits.join(", ")} (${source}).`;
}

function goals(checks: readonly OneCheck[], nodes: readonly Sampled[]): string {
  const sum = (of: (check: OneCheck) => Share, isOne: (check: OneCheck) => boolean) => {
    const shares = checks.filter(isOne).map(of);
    return { hits: total(shares, "hits"), trials: total(shares, "trials") };
  };
  const honest = sum(
    ({ caught }) => caught,
    ({ adversary }) => isHonest(adversary),
  );
  const other = sum(
    ({ caught }) => caught,
    ({ adversary }) => adversary.startsWith("gemma"),
  );
  const q4 = sum(
    ({ caughtLong }) => caughtLong,
    ({ adversary }) => adversary === "q4_0",
  );
  const mixed = nodes.filter(({ what }) => what.startsWith("1 answer in 20"));
  const lines = [
    `| honest answers flagged | at most 1 in 1,000, of 3,000 | ${honest.hits} of ${count(honest.trials)} |`,
    `| another model missed | none of 1,000 | ${other.trials - other.hits} of ${count(other.trials)} |`,
    `| Q4_0 for Q4_1, one check of 64 tokens | ≥ 99 % | ${percent(q4.hits / q4.trials)} of ${count(q4.trials)} |`,
    ...mixed.map(({ what, found }) => `| ${what}, new node found within 100 tasks | ≥ 95 % | ${percent(found[3])} |`),
  ];
  return ["| goal | | measured |", "| --- | --- | --- |", ...lines].join("\n");
}

function checksTable(checks: readonly OneCheck[]): string {
  const lines = checks.map(({ adversary, sampling, caught, medianMargin, margins }) => {
    const one = caught.hits / caught.trials;
    const [low, high] = margins.map((margin) => margin.toFixed(3));
    const within = [5, 20].map((tasks) => percent(1 - (1 - one) ** tasks));
    return `| ${adversaries[adversary].title} | ${sampling} | ${count(caught.trials)} | ${withInterval(caught)} | ${within.join(" | ")} | ${medianMargin.toFixed(3)} (${low}–${high}) |`;
  });
  return [
    "| who | sampling | checks | flagged by one check (95 %) | within 5 tasks, all checked | within 20 | mean margin, median (5–95 %) |",
    "| --- | --- | --: | --- | --: | --: | --- |",
    ...lines,
  ].join("\n");
}

function sampledTable(nodes: readonly Sampled[]): string {
  const lines = nodes.map(({ what, found, suspended, trusted }) => {
    const until = trusted.map((tasks) => (tasks === null ? "—" : count(tasks)));
    return `| ${what} | ${found.map(percent).join(" | ")} | ${suspended.map(percent).join(" | ")} | ${until.join(" / ")} |`;
  });
  return [
    "| who | found within 1 task | 5 | 20 | 100 | suspended within 20 | 100 | trusted node: tasks until half / 95 % are found |",
    "| --- | --: | --: | --: | --: | --: | --: | --: |",
    ...lines,
  ].join("\n");
}

function comparedTable(compared: readonly Compared[]): string {
  const cell = (share: Share) => (share.trials === 0 ? "—" : percent(share.hits / share.trials));
  const lines = compared.map((line) => {
    const cells = [line.byCheck, line.byCosine, line.byCosineOtherSeed, line.byLogprobDistance, line.byMeanLogprob];
    return `| ${adversaries[line.adversary].title} | ${line.sampling} | ${line.byCheck.trials} | ${cells.map(cell).join(" | ")} |`;
  });
  return [
    "| who | sampling | trials | this check | cosine < .85, same seed | cosine < .85, other seed | distance of log-probabilities told | mean log-probability |",
    "| --- | --- | --: | --: | --: | --: | --: | --: |",
    ...lines,
  ].join("\n");
}

function copyFirstTable(lines: readonly CopyFirst[]): string {
  const honest = lines.filter(({ adversary }) => isHonest(adversary)).map(({ readTwice }) => readTwice);
  const twice = { hits: total(honest, "hits"), trials: total(honest, "trials") };
  const cell = ({ hits, trials }: Share) => percent(hits / trials);
  const cells = lines.map(({ adversary, sampling, byFile, byCopyFirst, readTwice, medianMargin }) => {
    const margins = [medianMargin.ofFile, medianMargin.ofCopy].map((margin) => margin.toFixed(3)).join(", ");
    const found = [cell(byFile), withInterval(byCopyFirst), cell(readTwice)].join(" | ");
    return `| ${adversaries[adversary].title} | ${sampling} | ${byFile.trials} | ${found} | ${margins} |`;
  });
  return [
    `Of honest answers ${withInterval({ ...twice, ...clopperPearson(twice) })} were read twice.`,
    "",
    "| who | sampling | answers | flagged by the file alone | by the copy first (95 %) | read twice | median of mean margins, file and copy |",
    "| --- | --- | --: | --- | --- | --: | --- |",
    ...cells,
  ].join("\n");
}

function withInterval({ hits, trials, low, high }: Share): string {
  return `${percent(hits / trials)} (${percent(low)}–${percent(high)})`;
}

/** As `99.9 %`; never rounded to all or nothing. */
function percent(share: number): string {
  if (share === 0 || share === 1) return `${share * 100} %`;
  const digits = share < 0.01 || share > 0.99 ? 2 : 1;
  return `${(share * 100).toFixed(digits)} %`;
}

const count = (value: number) => value.toLocaleString("en-US");
const total = (shares: readonly Share[], what: "hits" | "trials") => shares.reduce((sum, each) => sum + each[what], 0);
