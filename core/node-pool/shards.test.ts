import { describe, expect, test } from "vitest";
import { modelHashSchema } from "../ids.ts";
import { poolName } from "./pool-name.ts";
import { nodesPerShard, shardCount, shardOf, shardsAtMost } from "./shards.ts";

describe("the number of shards", () => {
  test.each<[guarantee: string, liveNodes: number, shards: number, expected: number]>([
    ["is one for a pool that fits one", 1_000, 1, 1],
    ["doubles with the first node too many", 1_001, 1, 2],
    ["is a power of two", 3_000, 1, 4],
    ["holds ten thousand nodes in sixteen", 10_000, 1, 16],
    ["stays when the node too many leaves again", 1_000, 2, 2],
    ["stays down to a quarter full", 500, 2, 2],
    ["halves below that", 499, 2, 1],
    ["falls to one when all have left", 0, 16, 1],
    ["has an end", 10_000_000, 1, shardsAtMost],
  ])("%s", (_guarantee, liveNodes, shards, expected) => {
    expect(shardCount({ liveNodes, shards })).toBe(expected);
  });

  test("is settled by one step, whatever it was before", () => {
    for (let liveNodes = 0; liveNodes < 9_000; liveNodes += 97) {
      for (const before of [1, 2, 4, 8, 16]) {
        const shards = shardCount({ liveNodes, shards: before });
        expect(shardCount({ liveNodes, shards })).toBe(shards);
        expect(liveNodes).toBeLessThanOrEqual(shards * nodesPerShard);
      }
    }
  });
});

describe("the shard of a key", () => {
  const keys = Array.from({ length: 8_000 }, (_, index) => `node_${index.toString(36).padStart(8, "0")}`);

  test("is the only one where there is one", () => {
    expect(new Set(keys.map((key) => shardOf(key, 1)))).toEqual(new Set([0]));
  });

  test("is spread evenly: no shard of eight has a tenth more or less than its part", () => {
    const counts = new Array<number>(8).fill(0);
    for (const key of keys) counts[shardOf(key, 8)] = (counts[shardOf(key, 8)] ?? 0) + 1;
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(100);
  });

  test("moves at a doubling to one new shard or not at all, and half of the keys stay", () => {
    for (const shards of [1, 2, 4, 8]) {
      const moves = new Set(keys.map((key) => shardOf(key, 2 * shards) - shardOf(key, shards)));
      expect(moves).toEqual(new Set([0, shards]));
      const stayed = keys.filter((key) => shardOf(key, 2 * shards) === shardOf(key, shards)).length;
      expect(Math.abs(stayed - keys.length / 2)).toBeLessThan(keys.length / 20);
    }
  });
});

test("a pool is named for its model file, region and shard", () => {
  const hash = modelHashSchema.parse("a".repeat(64));
  expect([poolName(hash), poolName(hash, 3)]).toEqual([`${hash}/global/0`, `${hash}/global/3`]);
});
