import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type ModelHash, modelHashSchema } from "../../core/ids.ts";
import { explainFileError } from "./model-error.ts";

/**
 * SHA-256 of a whole file, read in pieces. `onBytes` is told after each piece how many bytes are done.
 * Throws `ModelError` `file_missing` or `permission_denied`.
 */
export async function hashFile(path: string, onBytes?: (doneBytes: number) => void): Promise<ModelHash> {
  const hash = createHash("sha256");
  let doneBytes = 0;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
      hash.update(chunk);
      doneBytes += chunk.length;
      onBytes?.(doneBytes);
    }
  } catch (cause) {
    throw explainFileError(cause, path);
  }
  return modelHashSchema.parse(hash.digest("hex"));
}
