import { homedir } from "node:os";
import { join } from "node:path";
import type { ModelHash } from "../../core/ids.ts";
import type { ModelName } from "../../core/model/model-card.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Where a node keeps what it can fetch again: `$CORTENSOR_CACHE`, else `$XDG_CACHE_HOME/cortensor-edge`, else
 * `~/.cache/cortensor-edge`. Models stand under `models/` in it. Empty variables count as unset.
 */
export function defaultCacheDir(environment: Environment = process.env): string {
  if (environment.CORTENSOR_CACHE) return environment.CORTENSOR_CACHE;
  return join(environment.XDG_CACHE_HOME || join(homedir(), ".cache"), "cortensor-edge");
}

/** The folder of one model: its record (`model.json`), and the GGUF itself where the node fetched it. */
export function modelDir(cacheDir: string, name: ModelName): string {
  return join(cacheDir, "models", name);
}

/** Where a fetched model's file stands: `<cacheDir>/models/<name>/<sha256>.gguf`, so two versions never mix. */
export function cachedModelPath(cacheDir: string, { name, fileSha256 }: { name: ModelName; fileSha256: ModelHash }) {
  return join(modelDir(cacheDir, name), `${fileSha256}.gguf`);
}
