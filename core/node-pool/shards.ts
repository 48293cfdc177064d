import { hash64 } from "./hash64.ts";

/** Members that one pool object holds at most before its model's pool is split: the size up to which it was designed. */
export const nodesPerShard = 1_000;
/** Below this many a shard, two shards become one. A quarter, so that a split is not undone by the next node's leaving. */
export const nodesPerShardToShrink = 250;
/** More shards than this no model has: 256,000 nodes. */
export const shardsAtMost = 256;

/**
 * How many shards a model's pool shall have, a power of two: `shards` as it has now, doubled while it has more than
 * {@link nodesPerShard} live nodes a shard and halved while it has fewer than {@link nodesPerShardToShrink}.
 */
export function shardCount({ liveNodes, shards }: { liveNodes: number; shards: number }): number {
  let count = shards;
  while (count < shardsAtMost && liveNodes > count * nodesPerShard) count *= 2;
  while (count > 1 && liveNodes < count * nodesPerShardToShrink) count /= 2;
  return count;
}

/**
 * The shard of a key (a node's id, a conversation), 0 to `shards` − 1, `shards` being a power of two. It is the low bits
 * of a hash, so that a doubling moves half of the keys, each from shard s to shard s + `shards`, and no other.
 */
export function shardOf(key: string, shards: number): number {
  return (hash64(key).low & (shards - 1)) >>> 0;
}
