import { z } from "zod";

const settingsSchema = z.object({
  /** Faults in a row. */
  CHAOS_FAULTS: z.coerce.number().int().min(1).max(10_000).default(10),
  /** Requests of the batch whose router is killed. */
  CHAOS_BATCH_LINES: z.coerce.number().int().min(9).max(50_000).default(60),
  /** How long Postgres is away. */
  CHAOS_POSTGRES_DOWN_SECONDS: z.coerce.number().int().min(1).max(3_600).default(15),
  /** What the run of faults is drawn from. */
  CHAOS_SEED: z.coerce.number().int().min(0).max(0xffff_ffff).default(1),
  /** Folder in which the counts of the run are written as JSON, besides the terminal. */
  CHAOS_REPORTS: z.string().optional(),
});

const read = settingsSchema.parse(process.env);

/** How long and how hard this run is; from the environment, and short where nothing is said (`npm test`). */
export const settings = {
  faults: read.CHAOS_FAULTS,
  batchLines: read.CHAOS_BATCH_LINES,
  postgresDownMs: read.CHAOS_POSTGRES_DOWN_SECONDS * 1_000,
  seed: read.CHAOS_SEED,
  reportsFolder: read.CHAOS_REPORTS,
} as const;
