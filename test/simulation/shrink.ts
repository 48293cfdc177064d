import { type RunOptions, type RunReport, runSimulation } from "./run-simulation.ts";

/** Runs that a shrink may cost at most. */
const mostRuns = 60;

/**
 * The smallest run that still breaks in the same way as `failed`: fewer requests, then fewer of its faults, by halves
 * (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002). Returns the last run that broke;
 * `failed` itself where nothing smaller does.
 */
export function shrink(failed: RunReport): RunReport {
  let smallest = failed;
  let runs = 0;
  const breaksToo = (options: RunOptions): boolean => {
    if (runs >= mostRuns) return false;
    runs += 1;
    const report = runSimulation(options);
    if (report.violation?.checker !== failed.violation?.checker) return false;
    smallest = report;
    return true;
  };

  const all = Array.from({ length: failed.options.faults }, (_, index) => index);
  let kept: readonly number[] = failed.options.keepFaults ?? all;
  if (kept.length > 0 && breaksToo({ ...smallest.options, keepFaults: [] })) return smallest;
  for (let parts = 2; kept.length > 1 && runs < mostRuns; ) {
    const size = Math.ceil(kept.length / parts);
    const starts = Array.from({ length: Math.ceil(kept.length / size) }, (_, part) => part * size);
    const start = starts.find((from) => {
      const rest = kept.filter((_, index) => index < from || index >= from + size);
      return breaksToo({ ...smallest.options, keepFaults: rest });
    });
    if (start !== undefined) {
      kept = kept.filter((_, index) => index < start || index >= start + size);
      parts = Math.max(2, parts - 1);
    } else if (size === 1) break;
    else parts = Math.min(kept.length, parts * 2);
  }
  return smallest;
}
