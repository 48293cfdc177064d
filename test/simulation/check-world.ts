import type { AttemptId, NodeId } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import { holds } from "./ground.ts";
import type { SimulatedNode, World } from "./world.ts";

/**
 * Longest time between two things that a caller hears: a place in the queue, then attempts in a row that bring nothing,
 * each with its deadline and the search for the next node, and once the longest silence of a node that has acked.
 */
export const answeredWithinMs =
  limits.queueWaitMs + limits.barrenAttempts * (limits.ackMs + limits.failoverWaitMs + 5_000) + limits.silenceMs;

/** A node stops working for nobody within this: its object's grace, its own, and the time of a redial. */
const orphanedForMs = 2 * limits.leaseGraceMs + limits.reattachMs + 15_000;

/** Where nothing goes wrong, a node has stopped this long after its caller left: three hops, and its engine's step. */
const stoppedWithinMs = 1_000;

/** A node that has nothing of any task, and to which nobody has spoken for this long, is idle. */
const forgottenAfterMs = 60_000;

/** What must hold at any time. Throws a Violation where it does not. */
export function checkLive(world: World): void {
  const { loop } = world.ground;
  for (const { client } of world.workers) {
    const silentMs = loop.nowMs - client.heardAtMs;
    holds(
      client.ending !== undefined || silentMs <= answeredWithinMs,
      "every client is answered or refused in bounded time",
      () => {
        return `${client.order.taskId} has waited for ${silentMs} ms`;
      },
    );
  }
  const hands = new Map<AttemptId, NodeId>();
  for (const node of world.active) {
    const { process, host, storage } = node;
    if (process.runs.size > 0) checkOrphans(world, node);
    else if (storage.outbox.rows.size === 0 && (host.instanceIfAwake?.book?.size ?? 0) === 0) {
      // Something may be on its way to it only now; then it is active again at the next word.
      if (world.ground.loop.nowMs - node.spokenToAtMs > forgottenAfterMs) world.active.delete(node);
      continue;
    }
    const book = host.instanceIfAwake?.book;
    if (book === undefined || book.size === 0) continue;
    world.ground.tally.peak("peak of leases of a node", book.size);
    for (const { terms } of book.leases) {
      const other = hands.get(terms.attemptId);
      holds(
        other === undefined,
        "no lease is in two hands",
        () => `${terms.attemptId} is at ${other} and ${host.name}`,
      );
      hands.set(terms.attemptId, process.traits.nodeId);
    }
  }
}

/** Nothing is worked on for long that nobody waits for, nor at all where the node has been told. */
function checkOrphans(world: World, { process, host, ...node }: SimulatedNode): void {
  const { nowMs } = world.ground.loop;
  if (process.isPaused) return;
  const held = new Set(process.holding().map(({ attemptId }) => attemptId));
  for (const { frame, number } of process.runs.values()) {
    const { attemptId, taskId } = frame;
    holds(held.has(attemptId), "what runs is held", () => `${process.name} works on ${attemptId}, which is over`);
    const client = world.clients[number - 1];
    if (client === undefined) throw new Error(`${taskId} is nobody's`);
    if (client.ending === undefined) continue;
    const overMs = nowMs - client.endedAtMs;
    // Where nothing went wrong since a little before, the word to stop has come.
    const isCalm = Math.max(node.troubledAtMs, world.troubledAtMs) < client.endedAtMs - limits.reattachMs;
    const boundMs = client.ending.kind === "left" && isCalm ? stoppedWithinMs : orphanedForMs;
    if (nowMs - process.awakeSinceMs < boundMs) continue;
    holds(overMs <= boundMs, "nothing is worked on that nobody waits for", () => {
      return `${process.name} still works on ${attemptId} of ${taskId}, which ended ${overMs} ms ago`;
    });
  }
}

/** What must hold once nothing happens any more: nothing is left of any task, and all room is on offer again. */
export function checkQuiet(world: World): void {
  const nothingIsLeft = "nothing is left behind";
  holds(world.workers.size === 0, "every client is answered or refused in bounded time", () => {
    return `${world.workers.size} requests are under way`;
  });
  for (const { process, host, storage } of world.nodes) {
    holds(process.isAlive && process.link !== undefined, "every node comes back", () => process.name);
    holds(process.runs.size === 0, nothingIsLeft, () => `${process.name} works`);
    const held = process.holding().length;
    holds(held === 0, nothingIsLeft, () => `${process.name} holds ${held} attempts`);
    holds(storage.outbox.rows.size === 0, nothingIsLeft, () => {
      return `${host.name} has rows in its outbox: ${[...storage.outbox.rows.values()].map((row) => row.type)}`;
    });
    const book = host.instance.book;
    holds((book?.size ?? 0) === 0, nothingIsLeft, () => `${host.name} has leases`);
    const { free } = host.instance;
    holds(free === process.traits.slots, "no credit is lost", () => {
      return `${host.name} has ${free} of ${process.traits.slots} credits`;
    });
  }
  for (const { host, storage } of world.accounts.values()) {
    holds(storage.rows.size === 0, nothingIsLeft, () => `${host.name} has rows in its outbox`);
  }
  let room = 0;
  for (const { instance } of world.pools.values()) {
    holds(instance.ticketCount === 0, nothingIsLeft, () => `${instance.ticketCount} tickets wait`);
    room += instance.room;
  }
  const slots = world.nodes.reduce((sum, { process }) => sum + process.traits.slots, 0);
  holds(
    room === slots,
    "no credit is lost",
    () => `the pools know of room for ${room}, and there is room for ${slots}`,
  );
}
