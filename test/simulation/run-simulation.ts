import { Trace } from "../../core/trace/trace.ts";
import type { Bug } from "./bugs.ts";
import { checkRecord } from "./check-record.ts";
import { checkLive, checkQuiet } from "./check-world.ts";
import type { Order } from "./client.ts";
import { Dice } from "./dice.ts";
import { EventLoop } from "./event-loop.ts";
import { drawFaults, type Fault, type FaultKind } from "./faults.ts";
import { type Ground, Violation } from "./ground.ts";
import { inject } from "./inject.ts";
import { drawAccounts, drawArrivals, drawOrder } from "./orders.ts";
import type { Postgres } from "./postgres.ts";
import { Tally } from "./tally.ts";
import { World } from "./world.ts";

export interface RunOptions {
  seed: number;
  nodes: number;
  tasks: number;
  faults: number;
  /** How long requests keep coming, of virtual time. */
  spanMs: number;
  /** Every frame is written and parsed as on a real socket. */
  isStrict: boolean;
  bugs?: readonly Bug[];
  /** Only faults of these kinds. */
  only?: readonly FaultKind[];
  /** Of the faults that the seed draws, those with these numbers. */
  keepFaults?: readonly number[];
  /** In place of what the seed draws: requests and faults by hand, in order, times from when all nodes have joined. */
  script?: {
    orders: readonly { atMs: number; order: Partial<Order> }[];
    faults: readonly (Pick<Fault, "atMs" | "kind" | "durationMs"> & Partial<Fault>)[];
  };
  /** How many lines of what happened last are kept, at least. */
  notes?: number;
  /** Requests that may come within one second, in bursts; four for each node where nothing is said. */
  burst?: number;
  /** How long all is quiet in the end before it is looked for what is left; seven minutes where nothing is said. */
  settleMs?: number;
  /** Real time of claims is measured. */
  isTimed?: boolean;
  /** Every object's core notes what it is told. */
  isTraced?: boolean;
}

export interface RunReport {
  options: RunOptions;
  tally: Tally;
  /** Events of the virtual loop. */
  steps: number;
  virtualMs: number;
  /** What did not hold, if anything; nothing ran after it. */
  violation: { checker: string; message: string; atMs: number } | undefined;
  notes: readonly string[];
  /** The record as it was in the end. */
  postgres: Postgres;
  /** By the name of the object; empty unless the run is traced. */
  traces: ReadonlyMap<string, Trace>;
  /** Milliseconds from request to first token, sorted. */
  firstTokensMs: readonly number[];
}

/** Some time in 2027, so that nothing is at the epoch by chance. */
const startMs = 1_800_000_000_000;
/** Nodes join within this much for each thousand of them, then requests begin to come. */
const joinMsPerThousand = 5_000;
/** Longer than any fault lasts, and than anything is waited for after it. */
const usualSettleMs = 420_000;
const liveCheckEveryMs = 1_000;

/**
 * One run from its seed: requests and faults for `spanMs`, then quiet until everything has settled. The checkers look at
 * each piece as it comes, at the whole every virtual second, and at the record in the end.
 */
export function runSimulation(options: RunOptions): RunReport {
  const dice = new Dice(options.seed);
  const loop = new EventLoop(startMs);
  const tally = new Tally();
  const notes: string[] = [];
  const traces = new Map<string, Trace>();
  const keptNotes = options.notes ?? 0;
  const ground: Ground = {
    loop,
    dice: dice.fork(),
    tally,
    bugs: new Set(options.bugs ?? []),
    isTimed: options.isTimed ?? false,
    traceOf: (name) => {
      if (options.isTraced !== true) return undefined;
      const trace = traces.get(name) ?? new Trace();
      traces.set(name, trace);
      return trace;
    },
    note: (line) => {
      if (keptNotes === 0) return;
      notes.push(`${String(loop.nowMs - startMs).padStart(8)} ms  ${line()}`);
      // By half at a time: to take out the first costs as much as all the others.
      if (notes.length >= 2 * keptNotes) notes.splice(0, keptNotes);
    },
  };
  let violation: RunReport["violation"];
  const world = new World(ground, options);
  try {
    play(world, { dice, options });
  } catch (error) {
    const isChecked = error instanceof Violation;
    const message =
      error instanceof Error ? (isChecked ? error.message : (error.stack ?? error.message)) : String(error);
    violation = { checker: isChecked ? error.checker : "nothing throws", message, atMs: loop.nowMs - startMs };
  }
  const firstTokensMs = world.clients
    .flatMap(({ firstTokenAtMs, sentAtMs }) => (firstTokenAtMs === undefined ? [] : [firstTokenAtMs - sentAtMs]))
    .toSorted((left, right) => left - right);
  const virtualMs = loop.nowMs - startMs;
  return {
    ...{ options, tally, steps: loop.steps, virtualMs, violation, notes, traces, firstTokensMs },
    postgres: world.postgres,
  };
}

/** The faults that a run has: those of its script, or those of its seed, or those of them that are to be kept. */
function faultsOf(dice: Dice, options: RunOptions, fromMs: number): Fault[] {
  const { faults: count, spanMs, only, keepFaults, script } = options;
  const times = { count, fromMs, toMs: fromMs + spanMs };
  const drawn = drawFaults(dice, only === undefined ? times : { ...times, only });
  if (script !== undefined) {
    return script.faults.map((fault) => ({ target: 0, strength: 0, ...fault, atMs: fromMs + fault.atMs }));
  }
  return keepFaults === undefined ? drawn : drawn.filter((_, index) => keepFaults.includes(index));
}

function play(world: World, { dice, options }: { dice: Dice; options: RunOptions }): void {
  const { loop } = world.ground;
  const joinMs = 1_000 + (joinMsPerThousand * options.nodes) / 1_000;
  for (const { process } of world.nodes) loop.after(dice.whole(0, joinMs), () => process.start());
  const fromMs = startMs + joinMs + 5_000;

  const { tasks: count, spanMs, nodes, script } = options;
  const accounts = drawAccounts(dice, Math.max(4, Math.min(500, Math.ceil(count / 50))));
  const drawn = drawArrivals(dice.fork(), { count, spanMs, burst: options.burst ?? nodes * 4 });
  const arrivals = script?.orders.map(({ atMs }) => atMs) ?? drawn;
  const orders = dice.fork();
  const arrive = (index: number) => {
    const atMs = arrivals[index];
    if (atMs === undefined) return;
    loop.after(fromMs + atMs - loop.nowMs, () => {
      const order = drawOrder(orders, { number: index + 1, accounts });
      world.request({ ...order, ...script?.orders[index]?.order });
      arrive(index + 1);
    });
  };
  arrive(0);

  const faults = faultsOf(dice.fork(), options, fromMs);
  const strike = (index: number) => {
    const fault = faults[index];
    if (fault === undefined) return;
    loop.after(fault.atMs - loop.nowMs, () => {
      inject(world, fault);
      strike(index + 1);
    });
  };
  strike(0);

  const endMs = fromMs + options.spanMs + (options.settleMs ?? usualSettleMs);
  const check = () => {
    checkLive(world);
    if (loop.nowMs < endMs) loop.after(liveCheckEveryMs, check);
  };
  loop.after(liveCheckEveryMs, check);
  loop.runUntil(endMs);
  checkQuiet(world);
  world.postgres.closeAbandoned();
  checkRecord(world.postgres, world.clients);
}
