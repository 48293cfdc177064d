import { relatedNotes } from "./related-notes.ts";
import type { RunOptions, RunReport } from "./run-simulation.ts";
import type { Tally } from "./tally.ts";

/** The command that tells a run again. */
export function replayCommand(options: RunOptions): string {
  const { seed, nodes, tasks, faults, spanMs, isStrict, only, keepFaults, bugs } = options;
  return [
    `npm run simulate -- --seed ${seed} --nodes ${nodes} --tasks ${tasks} --faults ${faults}`,
    `--hours ${Number((spanMs / 3_600_000).toFixed(6))}`,
    ...(isStrict ? ["--strict"] : []),
    ...(only === undefined ? [] : [`--only ${only.join(",")}`]),
    ...(keepFaults === undefined ? [] : [`--keep-faults ${keepFaults.length === 0 ? "none" : keepFaults.join(",")}`]),
    ...(bugs === undefined || bugs.length === 0 ? [] : [`--bug ${bugs.join(",")}`]),
  ].join(" ");
}

/** What a run did, as lines for people: requests by their end, faults by kind, traffic, and the extremes. */
export function summary(tally: Tally, { firstTokensMs }: { firstTokensMs: readonly number[] }): string {
  const faults = tally.under("fault ");
  const endings = tally.under("ending ");
  const sum = (rows: readonly (readonly [string, number])[]) => rows.reduce((total, [, count]) => total + count, 0);
  const others = tally.under("").filter(([name]) => !/^(fault|ending) /.test(name));
  return [
    table(`requests: ${sum(endings)}`, endings),
    table(`faults: ${sum(faults)}`, faults),
    table("first token, ms", [
      ["median", quantile(firstTokensMs, 0.5)],
      ["99 of 100 within", quantile(firstTokensMs, 0.99)],
    ]),
    table("in all", others),
  ].join("\n\n");
}

/** Rows of a name and a count under a title. */
export function table(title: string, rows: readonly (readonly [string, number])[]): string {
  const width = Math.max(0, ...rows.map(([name]) => name.length));
  return [title, ...rows.map(([name, count]) => `  ${name.padEnd(width)}  ${grouped(count).padStart(14)}`)].join("\n");
}

/** What broke, when, the last things that happened before, and how to see it again. */
export function failure(report: RunReport): string {
  const { violation, notes, options } = report;
  if (violation === undefined) throw new Error("nothing broke");
  return [
    `seed ${options.seed} broke after ${grouped(violation.atMs)} ms: ${violation.message}`,
    "what came before it:",
    ...relatedNotes(notes, { message: violation.message, most: 40 }),
    `again: ${replayCommand(options)}`,
  ].join("\n");
}

/** The value below which a share of sorted `values` lies; 0 for none. */
function quantile(values: readonly number[], share: number): number {
  return values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0;
}

function grouped(count: number): string {
  return count.toLocaleString("en-US", { maximumFractionDigits: 2 });
}
