import { z } from "zod";
import { faultOutcomeSchema, faultTable } from "./fault-table.ts";

/** What a run of faults leaves behind. */
export const faultReportSchema = z.strictObject({
  seed: z.int(),
  outcomes: z.array(faultOutcomeSchema).min(1),
  /** Streams asked for, and tasks found in the record. */
  streams: z.int(),
  tasks: z.int(),
});
export type FaultReport = z.infer<typeof faultReportSchema>;

/**
 * The page `docs/chaos.md` of a run, as Markdown. `date` is the day of the run as `2026-01-31`; `cores` are those of the
 * machine that ran it.
 */
export function chaosPage(
  { seed, outcomes, streams, tasks }: FaultReport,
  { date, cores }: { date: string; cores: number },
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

Cancelling, half-open sockets, stopped processes, kills of workerd and of Postgres have tests of their own beside this run
(\`test/chaos\`); \`npm run chaos -- --long\` leaves Postgres down for two minutes. A short run is part of \`npm test\`.
`;
}
