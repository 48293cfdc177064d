import { z } from "zod";
import { mockModels } from "./mock-answer.ts";

/** What a client process is asked to do: `connections` callers, each asking again as soon as it has its answer. */
export const loadJobSchema = z.strictObject({
  /** Of the chat route, or of the echo's. */
  url: z.url(),
  /** Beside the content type: who asks, and what a gateway wants to know. */
  headers: z.record(z.string(), z.string()),
  shape: z.enum(["whole", "stream", "echo"]),
  model: z.enum(mockModels),
  /** Length of each answer, in pieces. */
  pieces: z.int().positive(),
  connections: z.int().positive(),
  /**
   * The callers begin one after the other within this time; without it all at once. Answers of one length then go on
   * beginning in turns, as those of people do, and not all in one moment.
   */
  spreadMs: z.int().nonnegative().optional(),
  /** Before anything is counted: connections are opened and code is compiled. */
  warmUpMs: z.int().nonnegative(),
  /** Ends after this time, or after so many requests where they are given. */
  forMs: z.int().positive(),
  requests: z.int().positive().nullable(),
});
export type LoadJob = z.infer<typeof loadJobSchema>;

/** Quantiles of a set of times, in milliseconds; all 0 for an empty set. */
export const quantilesSchema = z.strictObject({
  p50: z.number(),
  p90: z.number(),
  p99: z.number(),
  p999: z.number(),
  max: z.number(),
});
export type Quantiles = z.infer<typeof quantilesSchema>;

export const loadResultSchema = z.strictObject({
  requests: z.int(),
  /** Answered during the warm-up and counted nowhere else. */
  warmUpRequests: z.int(),
  perSecond: z.number(),
  errors: z.int(),
  /** The first error, for a person. */
  firstError: z.string().nullable(),
  /** From the request to the end of its answer. */
  totalMs: quantilesSchema,
  /** Of streams: from the request to its first text, and between one event with text and the next. */
  firstTokenMs: quantilesSchema,
  gapMs: quantilesSchema,
  /** Events with text per stream: what a batching way makes of the pieces. */
  eventsPerStream: z.number(),
  /** CPU time of the client itself, per request. */
  clientCpuMicros: z.number(),
});
export type LoadResult = z.infer<typeof loadResultSchema>;
