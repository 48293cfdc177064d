import { z } from "zod";
import { accountIdSchema, keyIdSchema } from "../../core/ids.ts";
import { batchEndpoints } from "./batch-lines.ts";

const atMs = z.int().nullable();

/** A batch as its object keeps it. Times are milliseconds since the epoch, null until they come. */
export const batchSchema = z.object({
  id: z.string(),
  principal: z.object({ accountId: accountIdSchema, keyId: keyIdSchema }),
  endpoint: z.enum(batchEndpoints),
  inputFileId: z.string(),
  metadata: z.record(z.string(), z.string()).nullable(),
  status: z.enum([
    "validating",
    "failed",
    "in_progress",
    "finalizing",
    "completed",
    "expired",
    "cancelling",
    "cancelled",
  ]),
  errors: z.array(
    z.object({ code: z.string(), line: z.int().nullable(), message: z.string(), param: z.string().nullable() }),
  ),
  outputFileId: z.string().nullable(),
  errorFileId: z.string().nullable(),
  /** How long its results are kept; absent in batches that were begun before one could say so. */
  keptMs: z.int().optional(),
  createdAtMs: z.int(),
  expiresAtMs: z.int(),
  inProgressAtMs: atMs,
  finalizingAtMs: atMs,
  cancellingAtMs: atMs,
  /** When its last status came, where that is final. */
  endedAtMs: atMs,
});
export type Batch = z.infer<typeof batchSchema>;

export interface LineCounts {
  total: number;
  completed: number;
  failed: number;
}

/** Batches that nothing more happens to. */
export function isEnded({ status }: Batch): boolean {
  return ["failed", "completed", "expired", "cancelled"].includes(status);
}

/** A `batch` object (OpenAI API reference, The batch object). */
export function batchBody(batch: Batch, { total, completed, failed }: LineCounts): object {
  const seconds = (ms: number | null) => (ms === null ? null : Math.floor(ms / 1_000));
  const endedAs = (status: Batch["status"]) => (batch.status === status ? seconds(batch.endedAtMs) : null);
  const told = {
    output_file_id: batch.outputFileId,
    error_file_id: batch.errorFileId,
    in_progress_at: seconds(batch.inProgressAtMs),
    finalizing_at: seconds(batch.finalizingAtMs),
    completed_at: endedAs("completed"),
    failed_at: endedAs("failed"),
    expired_at: endedAs("expired"),
    cancelling_at: seconds(batch.cancellingAtMs),
    cancelled_at: endedAs("cancelled"),
  };
  return {
    id: batch.id,
    object: "batch",
    endpoint: batch.endpoint,
    input_file_id: batch.inputFileId,
    completion_window: "24h",
    status: batch.status,
    created_at: seconds(batch.createdAtMs),
    expires_at: seconds(batch.expiresAtMs),
    // OpenAI's description has these only once there is something to say.
    ...Object.fromEntries(Object.entries(told).filter(([, value]) => value !== null)),
    ...(batch.errors.length === 0 ? {} : { errors: { object: "list", data: batch.errors } }),
    request_counts: { total, completed, failed },
    metadata: batch.metadata,
  };
}
