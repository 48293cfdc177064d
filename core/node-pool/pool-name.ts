import type { ModelHash } from "../ids.ts";

/** Name of the pool object that serves a model file: model, region, shard. There is one region and one shard so far. */
export function poolName(fileSha256: ModelHash): string {
  return `${fileSha256}/global/0`;
}
