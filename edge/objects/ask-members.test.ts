import { afterEach, describe, expect, test, vi } from "vitest";
import { type NodeId, nodeIdSchema } from "../../core/ids.ts";
import { emptyPool, type NodePool, offer, recall } from "../../core/node-pool/node-pool.ts";
import { askedNodes, askMembers, batchNodes } from "./ask-members.ts";

afterEach(() => vi.restoreAllMocks());

const node = (index: number) => nodeIdSchema.parse(`node_${String(index).padStart(6, "0")}`);

/** A pool that was reset and knows so many members from storage. */
function resetPool(count: number): NodePool {
  const pool = emptyPool({ tickets: 10, claimMs: 1_000, silentMs: 90_000 });
  for (let index = 0; index < count; index += 1) {
    recall(pool, { nodeId: node(index), slots: 4, tokensPerSecond: 10, firstTokenMs: null, heardAtMs: 0 });
  }
  return pool;
}

function speak(pool: NodePool, nodeId: NodeId): void {
  const word = { nodeId, slots: 4, free: 1, tokensPerSecond: 10, firstTokenMs: null, asideUntilMs: 0, taken: [] };
  offer(pool, word, 1, Math.random);
}

describe("the members of a pool that was reset", () => {
  test("are each asked once, in no set order, and never more at once than a batch", async () => {
    const pool = resetPool(300);
    const asked: NodeId[] = [];
    let now = 0;
    let most = 0;
    await askMembers(pool, async (nodeId) => {
      asked.push(nodeId);
      now += 1;
      most = Math.max(most, now);
      await Promise.resolve();
      speak(pool, nodeId);
      now -= 1;
    });
    expect(asked.toSorted()).toEqual(Array.from({ length: 300 }, (_, index) => node(index)));
    expect(asked).not.toEqual(asked.toSorted());
    expect(most).toBe(batchNodes);
  });

  test("are not asked where they have spoken by themselves", async () => {
    const pool = resetPool(2 * batchNodes);
    const asked: NodeId[] = [];
    await askMembers(pool, async (nodeId) => {
      asked.push(nodeId);
      // The first who is asked has all others speak.
      if (asked.length === 1) for (let index = 0; index < 2 * batchNodes; index += 1) speak(pool, node(index));
    });
    expect(asked).toHaveLength(batchNodes);
  });

  test("who do not answer keep nobody from being asked", async () => {
    const warned = vi.spyOn(console, "warn").mockReturnValue();
    let asked = 0;
    await askMembers(resetPool(2 * batchNodes), async () => {
      asked += 1;
      throw new Error("gone");
    });
    expect(asked).toBe(2 * batchNodes);
    expect(warned).toHaveBeenCalledTimes(2);
  });

  test("past what one event may ask speak by themselves", async () => {
    let asked = 0;
    await askMembers(resetPool(askedNodes + 100), async () => {
      asked += 1;
    });
    expect(asked).toBe(askedNodes);
  });
});
