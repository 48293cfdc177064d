import { until } from "../e2e/wait.ts";
import type { ChaosNode } from "./chaos-node.ts";
import type { ChaosNetwork } from "./network.ts";

/** One kind of fault on the node that answers a stream. */
export interface Fault {
  /** As the table of counts names it. */
  title: string;
  /** Does it. */
  inflict(network: ChaosNetwork, node: ChaosNode): Promise<void>;
  /** Makes the node fit for the next: resolves once it serves. */
  mend(node: ChaosNode): Promise<void>;
}

const isServing = async (node: ChaosNode): Promise<void> => {
  await until(`${node.name} serves`, () => node.wire.isServing, { withinMs: 60_000, since: () => node.said });
};

const cutFor = (ms: number): Fault => ({
  title: `node's socket cut for ${ms / 1_000} s`,
  inflict: (_network, node) => node.proxy.cutFor(ms),
  mend: isServing,
});

/** Those that come in a row, in turn. */
export const faults: readonly Fault[] = [
  cutFor(1_000),
  {
    title: "`NodeObject` aborted",
    inflict: (network, node) => network.abortObject("NODE", node.nodeId),
    mend: isServing,
  },
  {
    title: "node killed (SIGKILL)",
    inflict: (_network, node) => node.kill(),
    mend: (node) => node.restart(),
  },
  cutFor(5_000),
];
