import type { Dice } from "./dice.ts";

/** Everything that can go wrong, and how often a mixed run has it among all its faults. */
export const faultShares = [
  /** SIGKILL; a fresh process starts when it is over. */
  ["nodeKilled", 10],
  /** SIGSTOP, then SIGCONT. */
  ["nodeStopped", 6],
  /** Many times slower than it should be. */
  ["nodeSlow", 5],
  /** SIGTERM; a fresh process starts when it is over. */
  ["nodeDrained", 3],
  /** The engine throws at a task. */
  ["engineBroken", 4],
  /** The connection breaks; the way is free again at once. */
  ["socketCut", 20],
  /** The connection breaks, and no dial gets through until it is over. */
  ["nodeCutOff", 6],
  /** Nothing passes and nobody is told; what was sent arrives when it is over, if the socket is still there. */
  ["wayBlocked", 8],
  ["nodeObjectReset", 14],
  /** An idle object loses its memory, and its socket stays. */
  ["nodeObjectSleep", 2],
  ["poolObjectReset", 5],
  ["accountObjectReset", 3],
  ["statusObjectReset", 1],
  /** Every object is reset within seconds, as a deployment does it. */
  ["deployment", 0.1],
  ["workerDied", 4],
  ["postgresAway", 1],
  /** Postgres takes every batch, and its answers are lost. */
  ["postgresMute", 1],
  /** Calls between objects are lost, before or after they took effect. */
  ["callsLost", 3],
  /** Calls between objects overtake each other. */
  ["callsReordered", 3],
  ["alarmTwice", 3],
  ["clockSkewed", 4],
] as const;

export type FaultKind = (typeof faultShares)[number][0];

/** One fault of a run: data, so that a run can be told again with fewer of them. */
export interface Fault {
  readonly atMs: number;
  readonly kind: FaultKind;
  /** Picks whom it hits, from 0 to 1: of those that are busy when it comes, else of all. */
  readonly target: number;
  readonly durationMs: number;
  /** How strong, from 0 to 1. */
  readonly strength: number;
}

/** How long a fault lasts, milliseconds: mostly short, now and then past every grace there is. */
function durationOf(kind: FaultKind, dice: Dice): number {
  if (kind === "postgresAway" || kind === "postgresMute") return dice.whole(1_000, 120_000);
  if (kind === "callsLost" || kind === "callsReordered") return dice.whole(200, 5_000);
  return dice.isChance(0.1) ? dice.whole(20_000, 90_000) : dice.whole(50, 8_000);
}

/**
 * `count` faults between two times of a run, in the order in which they come: some alone, some in storms within a few
 * seconds, where one breaks what another has just begun to mend.
 */
export function drawFaults(
  dice: Dice,
  { count, fromMs, toMs, only }: { count: number; fromMs: number; toMs: number; only?: readonly FaultKind[] },
): Fault[] {
  const shares = faultShares.filter(([kind]) => only === undefined || only.includes(kind));
  const faults: Fault[] = [];
  let stormMs: number | undefined;
  while (faults.length < count) {
    if (stormMs === undefined || dice.isChance(0.2))
      stormMs = dice.isChance(0.3) ? dice.whole(fromMs, toMs) : undefined;
    const atMs = stormMs === undefined ? dice.whole(fromMs, toMs) : Math.min(toMs, stormMs + dice.whole(0, 4_000));
    const kind = dice.weighted<FaultKind>(shares);
    faults.push({ atMs, kind, target: dice.random(), durationMs: durationOf(kind, dice), strength: dice.random() });
  }
  return faults.toSorted((left, right) => left.atMs - right.atMs);
}
