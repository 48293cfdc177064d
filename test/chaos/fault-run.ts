import { seededRandom } from "../../core/testing/seeded-random.ts";
import { answerProblems, type Evidence, recordProblems } from "./answer-problems.ts";
import type { ChaosNode } from "./chaos-node.ts";
import type { FaultOutcome } from "./fault-table.ts";
import { type Fault, faults } from "./faults.ts";
import type { ChaosNetwork, Consumer } from "./network.ts";
import { longAnswer } from "./prompts.ts";
import { maxTokens, WatchedStream } from "./watched-stream.ts";

/** Streams at a time. The network needs one node more, so that one is left when each loses its own. */
const lanes = 2;

/** What a run found. */
export interface FaultRunResult {
  outcomes: FaultOutcome[];
  /** Streams that were asked for, those included that ended before their fault came. */
  streams: number;
  /** Tasks in the record. */
  tasks: number;
}

/**
 * So many faults in a row, the kinds in turn, each in the midst of a stream of its own at a token drawn from `seed`.
 * Resolves when all streams are over and all their tasks are in the record; what was wrong is in the outcomes.
 */
export async function runFaults(
  network: ChaosNetwork,
  { count, seed, say }: { count: number; seed: number; say: (line: string) => void },
): Promise<FaultRunResult> {
  const random = seededRandom(seed);
  const plan = Array.from({ length: count }, (_, number) => ({
    number,
    fault: faults[number % faults.length],
    atToken: 5 + Math.floor(random() * (maxTokens - 50)),
  }));
  const consumer = await network.newConsumer("faults in a row");
  const held = new Set<ChaosNode>();
  const done: { fault: Fault | undefined; evidence: Evidence }[] = [];
  const lane = async () => {
    for (let planned = plan.shift(); planned !== undefined; planned = plan.shift()) {
      const { number, fault, atToken } = planned;
      if (fault === undefined) throw new Error("There are faults.");
      // A stream that was over before its fault shows nothing, and the fault is still to come.
      for (let isHit = false; !isHit; ) {
        if (done.length > 2 * count + lanes) throw new Error("The streams end before they can be hit.");
        const stream = await WatchedStream.ask(network, longAnswer(number), consumer);
        isHit = await hit({ network, stream, fault, atToken, held });
        const evidence = await stream.evidence();
        done.push({ fault: isHit ? fault : undefined, evidence });
        const problems = answerProblems(evidence);
        say(`${number + 1}/${count} ${fault.title} at token ${atToken}: ${problems.join("; ") || "intact"}`);
      }
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return outcomesOf(network, consumer, done);
}

/** Inflicts the fault on the node that answers, once it has sent so many tokens. False where the stream was over. */
async function hit({
  network,
  stream,
  fault,
  atToken,
  held,
}: {
  network: ChaosNetwork;
  stream: WatchedStream;
  fault: Fault;
  atToken: number;
  /** Nodes that are another lane's to break and to mend. */
  held: Set<ChaosNode>;
}): Promise<boolean> {
  let node = await stream.sent(atToken);
  while (held.has(node)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    node = await stream.node();
  }
  if (stream.isOver) return false;
  held.add(node);
  try {
    await fault.inflict(network, node);
    await stream.done();
    await fault.mend(node);
  } finally {
    held.delete(node);
  }
  return true;
}

async function outcomesOf(
  network: ChaosNetwork,
  consumer: Consumer,
  done: readonly { fault: Fault | undefined; evidence: Evidence }[],
): Promise<FaultRunResult> {
  const record = await network.recordOf(consumer, done.length, 60_000);
  return {
    outcomes: done.flatMap(({ fault, evidence }) =>
      fault === undefined
        ? []
        : [
            {
              fault: fault.title,
              answerProblems: answerProblems(evidence),
              recordProblems: recordProblems(record, evidence),
              longestSilenceMs: evidence.received.longestSilenceMs,
            },
          ],
    ),
    streams: done.length,
    tasks: record.tasks.length,
  };
}
