import { z } from "zod";

/** What OpenAI's files are for; what a network makes itself has a purpose of its own. */
export const filePurposes = ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"] as const;

/** A `file` object (OpenAI API reference, The file object). */
export const fileBodySchema = z.object({
  id: z.string(),
  object: z.literal("file"),
  bytes: z.int().nonnegative(),
  created_at: z.int(),
  expires_at: z.int().optional(),
  filename: z.string(),
  purpose: z.string(),
  status: z.literal("processed"),
});
export type FileBody = z.infer<typeof fileBodySchema>;

/** A whole file, as it is listed. Times are milliseconds since the epoch. */
export function fileBody({
  id,
  sizeBytes,
  createdAtMs,
  expiresAtMs,
  filename,
  purpose,
}: {
  id: string;
  sizeBytes: number;
  createdAtMs: number;
  expiresAtMs: number | null;
  filename: string;
  purpose: string;
}): FileBody {
  return {
    id,
    object: "file",
    bytes: sizeBytes,
    created_at: Math.floor(createdAtMs / 1_000),
    ...(expiresAtMs === null ? {} : { expires_at: Math.floor(expiresAtMs / 1_000) }),
    filename,
    purpose,
    status: "processed",
  };
}
