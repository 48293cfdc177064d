import type { FaultReport, PostgresReport } from "./chaos-report.ts";
import { faultTable } from "./fault-table.ts";

/**
 * The page `docs/chaos.md` of a run, as Markdown. `date` is the day of the run as `2026-01-31`; `cores` are those of the
 * machine that ran it.
 */
export function chaosPage(
  { seed, outcomes, streams, tasks }: FaultReport,
  { date, cores, postgres }: { date: string; cores: number; postgres?: PostgresReport },
): string {
  return `<!-- Written by \`npm run chaos\`; what is changed here by hand is lost. -->
# Faults in a row

\`npm run chaos\` starts the real network on one machine: Postgres, workerd with the router, three nodes with SmolLM2, each
node behind a TCP proxy that can cut it off. Clients read streams of 300 tokens at temperature 0, two at a time. Each
stream is hit by one fault at a token drawn from the seed; the other stream may share the node and is then hit with it.

A stream is **intact** when the official SDK reads it to its end without an error, with the right counts, and its text is,
byte for byte, that of the token ids that left the nodes: as a witness on the nodes' sockets saw them, and as the last
node logged them. Where a second node went on, the ids it was given are those the first had sent. A task is **recorded
once** when Postgres has one row of it, completed, with one committed attempt, one row of usage, and the counts that the
client was told. A **silence** is a client's wait between two pieces of text.

${faultTable(outcomes)}

${outcomes.length} faults, ${streams} streams asked for, ${tasks} tasks in the record. Seed ${seed}, ${date}, ${cores} cores for everything, so that
silences are those of a busy machine.
${postgres === undefined ? "" : postgresLines(postgres, date)}
Cancelling, half-open sockets, stopped processes, kills of workerd and of Postgres have tests of their own beside this run
(\`test/chaos\`); \`npm run chaos -- --long\` leaves Postgres down for two minutes. A short run is part of \`npm test\`.
`;
}

function postgresLines({ downMs, streams, whileDown }: PostgresReport, date: string): string {
  return `
**Postgres killed under load** and away for ${downMs / 1_000} s (${date}): ${streams} short streams were asked for, ${whileDown} of which were
over before it was back. None failed, and afterwards each had its rows of task, attempt and usage, once.
`;
}
