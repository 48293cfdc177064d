import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Machine } from "./machine.ts";

const resultsDir = join(import.meta.dirname, "results");

/** One line of a report. A goal is said in words; `isMet` is undefined where there is none. */
export interface ReportLine {
  what: string;
  value: string;
  goal?: string;
  isMet?: boolean;
}

/** One part of a bench: what it shows, and all it measured. */
export interface PartReport {
  part: string;
  lines: ReportLine[];
  figures: unknown;
  /** Cores' worth of CPU time that other work on the machine took meanwhile. */
  foreignCores: number;
}

/** A part's lines as a table for a terminal. */
export function tableOf({ part, lines, foreignCores }: PartReport): string {
  const width = Math.max(...lines.map(({ what }) => what.length));
  const rows = lines.map(({ what, value, goal, isMet }) => {
    const verdict = isMet === undefined ? "" : isMet ? "  ok" : "  MISSED";
    return `  ${what.padEnd(width)}  ${value}${goal === undefined ? "" : `   (goal: ${goal}${verdict})`}`;
  });
  const beside = foreignCores >= 0.1 ? `   beside other work that took ${foreignCores.toFixed(1)} cores` : "";
  return [`── ${part}${beside}`, ...rows, ""].join("\n");
}

/** Writes a bench's parts with the machine to `bench/results/<name>.json`; returns the path. */
export function writeResults(
  name: string,
  results: { machine: Machine; startedAt: string; isQuick: boolean; parts: readonly PartReport[] },
): string {
  mkdirSync(resultsDir, { recursive: true });
  const path = join(resultsDir, `${name}.json`);
  writeFileSync(path, `${JSON.stringify(results, null, 2)}\n`);
  return path;
}

/** A time in milliseconds, as `0.52 ms` or `104 ms`. */
export function ms(timeMs: number): string {
  return `${timeMs < 10 ? timeMs.toFixed(2) : timeMs.toFixed(0)} ms`;
}
