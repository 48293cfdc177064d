import { z } from "zod";

/** What became of one stream and its task. */
export const faultOutcomeSchema = z.strictObject({
  fault: z.string(),
  /** Sentences; none where the stream was intact. */
  answerProblems: z.array(z.string()),
  /** Sentences; none where the task is in the record once, as the client was told. */
  recordProblems: z.array(z.string()),
  longestSilenceMs: z.number().nonnegative(),
});
export type FaultOutcome = z.infer<typeof faultOutcomeSchema>;

const columns = [
  "fault",
  "times",
  "streams intact",
  "broken",
  "tasks recorded once",
  "longest silence, p50",
  "p99",
] as const;

/**
 * The counts of a run as a Markdown table: a row for each kind of fault in the order of its first coming, and one of
 * all. Silences are a client's longest wait between two pieces of text of one stream.
 */
export function faultTable(outcomes: readonly FaultOutcome[]): string {
  const kinds = [...new Set(outcomes.map(({ fault }) => fault))];
  const rows = kinds.map((kind) =>
    rowOf(
      kind,
      outcomes.filter(({ fault }) => fault === kind),
    ),
  );
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    line(columns),
    line(columns.map((_column, index) => (index === 0 ? "---" : "--:"))),
    ...[...rows, rowOf("all", outcomes)].map(line),
  ].join("\n");
}

function rowOf(title: string, outcomes: readonly FaultOutcome[]): string[] {
  const intact = outcomes.filter(({ answerProblems }) => answerProblems.length === 0).length;
  const recorded = outcomes.filter(({ recordProblems }) => recordProblems.length === 0).length;
  const silences = outcomes.map(({ longestSilenceMs }) => longestSilenceMs);
  return [
    title,
    ...[outcomes.length, intact, outcomes.length - intact, recorded].map(String),
    seconds(quantile(silences, 0.5)),
    seconds(quantile(silences, 0.99)),
  ];
}

/** The smallest value that at least this share of all is no greater than (nearest rank); 0 of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}
