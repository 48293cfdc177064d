import { describe, expect, onTestFinished, test } from "vitest";
import { findCatalogueModel } from "../../core/model/catalogue.ts";
import { poolName } from "../../core/node-pool/pool-name.ts";
import { until } from "../e2e/wait.ts";
import type { ChaosNode } from "./chaos-node.ts";
import { type ChaosNetwork, model } from "./network.ts";
import { idsOf } from "./node-wire.ts";
import { longAnswer } from "./prompts.ts";
import { WatchedStream } from "./watched-stream.ts";

/** Tokens that the node has sent when the fault comes. */
const midStreamTokens = 80;

/**
 * Each kind of fault, once, in the midst of a stream of 300 tokens on a network of three nodes. Most run two at a time,
 * and a stream that shares its node with another is hit by both faults.
 */
export function describeStreamFaults(getNetwork: () => ChaosNetwork): void {
  /** What the model answers when nothing goes wrong. */
  let undisturbed: Promise<string> | undefined;

  /** A stream in its midst, with the node that answers. */
  async function midStream(): Promise<{ stream: WatchedStream; node: ChaosNode; network: ChaosNetwork }> {
    const network = getNetwork();
    const stream = await WatchedStream.ask(network, longAnswer(0));
    return { stream, node: await stream.sent(midStreamTokens), network };
  }

  /** An answer that one node gave is the undisturbed one, to the letter. */
  async function expectFromOneNode(stream: WatchedStream): Promise<void> {
    const { attempts, received } = await stream.expectIntact();
    expect(attempts).toHaveLength(1);
    undisturbed ??= WatchedStream.ask(getNetwork(), longAnswer(0)).then(
      async (again) => (await again.expectIntact()).received.text,
    );
    expect(received.text).toBe(await undisturbed);
  }

  /** Resolves once the node has dialled again and is on offer. */
  async function isBack(node: ChaosNode, dialsBefore: number): Promise<void> {
    await until(`${node.name} is back`, () => node.proxy.counts.total > dialsBefore && node.wire.isServing, {
      withinMs: 60_000,
      since: () => node.said,
    });
  }

  describe.concurrent("a stream of 300 tokens comes whole, in order and unaltered", () => {
    test.each([1_000, 5_000])("when its node's socket is cut for %d ms", async (cutMs) => {
      const { stream, node } = await midStream();
      const dials = node.proxy.counts.total;
      await node.proxy.cutFor(cutMs);
      await stream.expectIntact();
      await isBack(node, dials);
    });

    test.each([
      ["both directions", ["toTarget", "fromTarget"]],
      ["the direction to the router", ["toTarget"]],
      ["the direction to the node", ["fromTarget"]],
    ] as const)("when its node's socket stays open and is dead in %s", async (_which, directions) => {
      const { stream, node } = await midStream();
      const dials = node.proxy.counts.total;
      node.proxy.freeze(directions);
      await stream.expectIntact();
      await isBack(node, dials);
    });

    test("when its node stands still for ten seconds", async () => {
      const { stream, node } = await midStream();
      node.pause();
      const pause = new Promise((resolve) => setTimeout(resolve, 10_000)).finally(() => node.unpause());
      await Promise.all([stream.expectIntact(), pause]);
      await until(`${node.name} is back`, () => node.wire.isServing, {
        withinMs: 60_000,
        since: () => node.said,
      });
    });
  });

  // Each by itself: a fault that is meant for another stream must not move this one to another node.
  describe("a stream of 300 tokens comes whole, from the nodes that it should come from", () => {
    test("from one node alone when its node's socket is reset and the next dial is well", async () => {
      const { stream, node } = await midStream();
      node.proxy.cut();
      await expectFromOneNode(stream);
    });

    test("from one node alone when its NodeObject is reset", async () => {
      const { stream, node, network } = await midStream();
      await network.abortObject("NODE", node.nodeId);
      await expectFromOneNode(stream);
    });

    test("from one node alone when all other objects on its way are reset, which then serve the next request", async () => {
      const { stream, network } = await midStream();
      const file = findCatalogueModel(model);
      if (file === undefined) throw new Error("The model is in the catalogue.");
      await network.abortObject("POOL", poolName(file.fileSha256));
      await network.abortObject("ACCOUNT", stream.consumer.accountId);
      await network.abortObject("STATUS", "deployment");
      const other = await network.newConsumer("next");
      const next = await other.stream({ prompt: "Say hello.", maxTokens: 4 }).done;
      expect(next).toMatchObject({ error: undefined, usage: { completionTokens: 4 } });
      await expectFromOneNode(stream);
    });

    test("from the first node and then from the second when the first is killed", async () => {
      const { stream, node } = await midStream();
      onTestFinished(() => node.restart());
      await node.kill();
      const { attempts, record } = await stream.expectIntact();
      const [first, second, ...others] = attempts;
      if (first === undefined || second === undefined) throw new Error("One node alone had it.");
      expect(others).toEqual([]);
      expect(second.continues.length).toBeGreaterThan(0);
      expect(second.continues).toEqual(idsOf(first).slice(0, second.continues.length));
      expect(record.attempts).toMatchObject([
        { attemptId: first.attemptId, nodeId: node.nodeId, state: "lost" },
        { attemptId: second.attemptId, state: "committed" },
      ]);
      expect(node.outputs().map(({ attemptId }) => attemptId)).not.toContain(first.attemptId);
    });

    test("from the second node when the first is killed while it reads the prompt", async () => {
      const network = getNetwork();
      // About 600 tokens: several seconds for one thread.
      const prompt = `${"The quick brown fox jumps over the lazy dog. ".repeat(60)}${longAnswer(0)}`;
      const stream = await WatchedStream.ask(network, prompt);
      const taskId = await stream.begun();
      const node = network.nodeOf(taskId);
      onTestFinished(() => node.restart());
      await node.kill();
      const { attempts } = await stream.expectIntact();
      expect(attempts.map((attempt) => [attempt.continues, idsOf(attempt).length])).toEqual([
        [[], 0],
        [[], 300],
      ]);
    });
  });

  test("workerd killed: the connection goes with it, the record says so once, and the network is whole again", async () => {
    const { stream, node, network } = await midStream();
    await network.killWorkerd();
    const received = await stream.done();
    expect(received.error).toBeInstanceOf(Error);
    const taskId = await stream.begun();
    const { output } = await node.loggedEnd(taskId, 60_000);
    // A quick node ends its answer before workerd is back; a slower one is told to stop.
    expect(["cancelled", "length"]).toContain(output.outcome);
    expect(network.textOf(output.tokenIds).startsWith(received.text)).toBe(true);

    const { tasks, attempts, usage } = await network.recordOf(stream.consumer, 1, 60_000);
    expect(tasks).toMatchObject([{ taskId, state: "failed", errorCode: "stream_broken" }]);
    expect(attempts).toMatchObject([{ taskId, nodeId: node.nodeId }]);
    // Nobody has the answer, so nobody pays for it.
    expect(usage).toEqual([]);

    for (const each of network.nodes) await each.serving();
    const other = await network.newConsumer("after workerd");
    const next = await other.stream({ prompt: "Say hello.", maxTokens: 4 }).done;
    expect(next).toMatchObject({ error: undefined, usage: { completionTokens: 4 } });
  });
}
