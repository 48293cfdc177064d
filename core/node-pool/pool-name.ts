import type { ModelHash } from "../ids.ts";

/** Name of the pool object that serves a shard of a model file: model, region, shard. There is one region so far. */
export function poolName(fileSha256: ModelHash, shard = 0): string {
  return `${fileSha256}/global/${shard}`;
}

/** The shard that a pool's name ends with; 0 for a name that ends with none. */
export function shardInName(name: string): number {
  return Number(/\/(\d{1,6})$/.exec(name)?.[1] ?? 0);
}

/** The name of another shard of the same pool. */
export function siblingName(name: string, shard: number): string {
  return `${name.replace(/\/\d{1,6}$/, "")}/${shard}`;
}
