import { runSimulation } from "./run-simulation.ts";

/** Networks whose cost for a request is compared. */
const sizes = [10, 100, 1_000, 10_000] as const;

/** What one request costs in a network of some size, in the mean; the claim's real time is a median. */
export interface RequestCost {
  nodes: number;
  /** Calls to nodes', pools', accounts' and status objects. */
  objectCalls: number;
  /** Messages over nodes' sockets, both ways. */
  messages: number;
  /** Rows written and deleted. */
  rows: number;
  claimMicroseconds: number;
}

/**
 * Measures what a request costs in a network without faults or queues. What nodes cost by being there (an offer every
 * 30 s) is not a request's: a run without requests is taken off.
 */
export function measureCost(nodes: number, { tasks, spanMs }: { tasks: number; spanMs: number }): RequestCost {
  const options = { seed: 7, nodes, faults: 0, spanMs, isStrict: false, burst: 1, isTimed: true };
  const [busy, idle] = [runSimulation({ ...options, tasks }), runSimulation({ ...options, tasks: 0 })];
  for (const { violation } of [busy, idle]) if (violation !== undefined) throw new Error(violation.message);
  const each = (...names: readonly string[]) =>
    names.reduce((sum, name) => sum + busy.tally.get(name) - idle.tally.get(name), 0) / tasks;
  return {
    nodes,
    objectCalls: each("calls of NODE", "calls of POOL", "calls of ACCOUNT", "calls of STATUS"),
    messages: each("messages to nodes", "messages from nodes"),
    rows: each("rows written", "rows deleted"),
    claimMicroseconds: busy.tally.median("claim, µs"),
  };
}

/** Prints a line for each size. */
export function printCostTable(print: (line: string) => void): void {
  const columns = ["nodes", "object calls", "socket messages", "rows", "a claim's µs"];
  print("One request, without faults, in networks of different size:");
  print(columns.map((column) => column.padStart(16)).join(""));
  for (const size of sizes) {
    const cost = measureCost(size, { tasks: 2_000, spanMs: 1_800_000 });
    const values = [cost.objectCalls, cost.messages, cost.rows, cost.claimMicroseconds];
    const cells = [size.toLocaleString("en-US"), ...values.map((value) => value.toFixed(2))];
    print(cells.map((cell) => cell.padStart(16)).join(""));
  }
}
