import { z } from "zod";

/** What the counting Worker counts, of all objects together. Each is something that Cloudflare prices or limits. */
export const countsSchema = z.strictObject({
  /** Calls of object methods by the Worker, on a request's own way: by object and method, as `POOL.claim`. */
  workerCalls: z.record(z.string(), z.int()),
  /** Calls of one object by another. */
  objectCalls: z.record(z.string(), z.int()),
  /** Alarms that rang. */
  alarmsRung: z.int(),
  /** Messages and frames on the nodes' sockets; a message may carry several frames. */
  messagesIn: z.int(),
  framesIn: z.int(),
  messagesOut: z.int(),
  framesOut: z.int(),
  /** SQLite rows as Cloudflare counts them; setting an alarm counts as one row written. */
  rowsRead: z.int(),
  rowsWritten: z.int(),
});
export type Counts = z.infer<typeof countsSchema>;

/** The route of the counting Worker: GET tells the counts, POST sets all to 0. */
export const countsPath = "/bench/counts";

/** All 0. */
export function noCounts(): Counts {
  return {
    workerCalls: {},
    objectCalls: {},
    alarmsRung: 0,
    messagesIn: 0,
    framesIn: 0,
    messagesOut: 0,
    framesOut: 0,
    rowsRead: 0,
    rowsWritten: 0,
  };
}

/** The sum of a record of counts. */
export function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
