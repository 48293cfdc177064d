import type { Fault, FaultKind } from "./faults.ts";
import type { SimulatedNode, World } from "./world.ts";

/** Faults of what all nodes share. */
const shared: ReadonlySet<FaultKind> = new Set([
  "deployment",
  "callsLost",
  "callsReordered",
  "poolObjectReset",
  "accountObjectReset",
  "statusObjectReset",
  "postgresAway",
  "postgresMute",
  "clockSkewed",
]);

/** Does one fault to a world, and mends it when its time is over. */
export function inject(world: World, fault: Fault): void {
  const { ground } = world;
  ground.tally.add(`fault ${fault.kind}`);
  ground.note(() => `fault: ${JSON.stringify(fault)}`);
  const node = nodeOf(world, fault);
  const { process, host } = node;
  const noteTrouble = () => {
    if (shared.has(fault.kind)) world.troubledAtMs = ground.loop.nowMs;
    else node.troubledAtMs = ground.loop.nowMs;
  };
  noteTrouble();
  const later = (mend: () => void) => {
    ground.loop.after(fault.durationMs, () => {
      noteTrouble();
      mend();
    });
  };
  switch (fault.kind) {
    case "nodeKilled":
      process.kill();
      later(() => restart(node));
      break;
    case "nodeStopped":
      process.pause();
      later(() => process.proceed());
      break;
    case "nodeSlow":
      process.slowness = 2 + 40 * fault.strength;
      later(() => {
        process.slowness = 1;
      });
      break;
    case "nodeDrained":
      process.drain();
      later(() => restartOnceGone(world, node));
      break;
    case "engineBroken":
      process.breakEngine();
      break;
    case "socketCut":
      process.link?.break();
      break;
    case "nodeCutOff":
      process.cutOff();
      process.link?.break();
      later(() => process.reach());
      break;
    case "wayBlocked": {
      const { link } = process;
      process.cutOff();
      link?.block();
      process.watchSilence();
      later(() => {
        process.reach();
        link?.unblock();
      });
      break;
    }
    case "nodeObjectReset":
      world.resetNode(node);
      break;
    case "nodeObjectSleep":
      if (host.instanceIfAwake?.isIdle === true) host.sleep();
      break;
    case "poolObjectReset":
      pick([...world.pools.values()], fault)?.reset();
      break;
    case "accountObjectReset":
      pick([...world.accounts.values()], fault)?.host.reset();
      break;
    case "statusObjectReset":
      world.status.reset();
      break;
    case "deployment":
      deploy(world);
      break;
    case "workerDied":
      for (let count = 1 + Math.floor(4 * fault.strength); count > 0; count -= 1)
        pick([...world.workers], fault)?.die();
      break;
    case "postgresAway":
      world.postgres.isAway = true;
      later(() => {
        world.postgres.isAway = false;
      });
      break;
    case "postgresMute":
      world.postgres.isMute = true;
      later(() => {
        world.postgres.isMute = false;
      });
      break;
    case "callsLost": {
      const share = 0.02 + 0.2 * fault.strength;
      later(() => {});
      world.network.trouble({ lostBefore: share / 2, lostAfter: share / 2, slowedMs: 0 }, fault.durationMs);
      break;
    }
    case "callsReordered":
      later(() => {});
      world.network.trouble({ lostBefore: 0, lostAfter: 0, slowedMs: 10 + 400 * fault.strength }, fault.durationMs);
      break;
    case "alarmTwice":
      host.ring();
      break;
    case "clockSkewed": {
      const skewMs = Math.round((fault.strength - 0.5) * 8_000);
      if (fault.target < 0.4) host.skewMs = skewMs;
      else if (fault.target < 0.6) process.skewMs = skewMs;
      else if (fault.target < 0.8) world.workerSkewMs = skewMs;
      else for (const pool of world.pools.values()) pool.skewMs = skewMs;
    }
  }
}

/** A node that works, where one does; a fault among the idle would tell little. */
function nodeOf(world: World, { target }: Fault): SimulatedNode {
  const busy = [...world.active].filter(({ process }) => process.runs.size > 0);
  const spread = (target * 7) % 1;
  const list = busy.length > 0 && spread < 0.85 ? busy : world.nodes;
  const node = list[Math.floor(target * list.length)];
  if (node === undefined) throw new Error("there are no nodes");
  return node;
}

function pick<Item>(items: readonly Item[], { target }: Fault): Item | undefined {
  return items[Math.floor(target * items.length)];
}

function restart({ process }: SimulatedNode): void {
  if (!process.isAlive) process.start();
}

function restartOnceGone(world: World, node: SimulatedNode): void {
  if (node.process.isDraining) world.ground.loop.after(1_000, () => restartOnceGone(world, node));
  else restart(node);
}

/** Every object is reset, each at a time of its own within three seconds. */
function deploy(world: World): void {
  const { loop, dice } = world.ground;
  const soon = (reset: () => void) => void loop.after(dice.whole(0, 3_000), reset);
  for (const node of world.nodes) soon(() => world.resetNode(node));
  for (const pool of world.pools.values()) soon(() => pool.reset());
  for (const { host } of world.accounts.values()) soon(() => host.reset());
  soon(() => world.status.reset());
}
