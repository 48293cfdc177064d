import { setTimeout } from "node:timers/promises";
import { cpuMs } from "../process-figures.ts";
import type { ReportLine } from "../report.ts";
import { BenchNetwork } from "./bench-network.ts";
import { type Counts, countsPath, countsSchema } from "./counts.ts";
import type { LoadJob } from "./load-job.ts";
import { type PerRequest, perRequest, priceOfMillion } from "./price.ts";
import { runLoad } from "./run-load.ts";
import { tariff } from "./tariff.ts";

/** What a request may take at most. `test` is the guard: more than this fails `bill.e2e.ts`. */
export const mostPerRequest = { serialCalls: 2, rowsWritten: 3 } as const;

/** A shape of traffic whose bill is told. */
export interface Traffic {
  what: string;
  shape: "whole" | "stream";
  pieces: number;
  connections: number;
  requests: number;
}

/** One at a time nothing shares a frame, a write or a call with another request, so that is the dearest. */
export const traffics: readonly Traffic[] = [
  { what: "short, one at a time", shape: "whole", pieces: 1, connections: 1, requests: 300 },
  { what: "short, 64 at once", shape: "whole", pieces: 1, connections: 64, requests: 3_000 },
  { what: "streams of 50 deltas, 16 at once", shape: "stream", pieces: 50, connections: 16, requests: 600 },
];

/** Longer than an outbox waits before it flushes: the rows of a record's leaving belong to its request. */
const settleMs = 3_000;
/** Objects that such traffic keeps awake: four nodes and their pool. */
const activeObjects = 5;

/** A network whose Worker counts. */
export async function startCounting(folder: string): Promise<BenchNetwork> {
  const entry = "bench/workerd/counting-worker.ts";
  const network = await BenchNetwork.start({ folder, nodes: 4, slots: 64, models: ["mock-instant"], entry });
  // What is looked up once and remembered for seconds is looked up now.
  const warmUp = { what: "warm-up", shape: "whole", pieces: 1, connections: 64, requests: 200 } as const;
  await runLoad(jobOf(network, warmUp), { folder });
  return network;
}

/** What one request of this traffic takes, and for how long. */
export async function countTraffic(
  network: BenchNetwork,
  traffic: Traffic,
  { folder }: { folder: string },
): Promise<{ counts: Counts; per: PerRequest; cpuMs: number; perSecond: number }> {
  await setTimeout(settleMs);
  await fetch(network.origin + countsPath, { method: "POST" });
  const before = cpuMs(network.routerPid);
  const { perSecond } = await runLoad(jobOf(network, traffic), { folder });
  const spentMs = cpuMs(network.routerPid) - before;
  await setTimeout(settleMs);
  const counts = countsSchema.parse(await (await fetch(network.origin + countsPath)).json());
  return { counts, per: perRequest(counts, traffic.requests), cpuMs: spentMs / traffic.requests, perSecond };
}

/** Object calls, rows and frames a request, and what a million of them cost by Cloudflare's public tariff. */
export async function measureBill({ folder }: { folder: string }): Promise<{ lines: ReportLine[]; figures: unknown }> {
  const network = await startCounting(folder);
  const lines: ReportLine[] = [];
  const figures: object[] = [];
  try {
    for (const traffic of traffics) {
      const { counts, per, perSecond, ...cost } = await countTraffic(network, traffic, { folder });
      const activeObjectMs = (activeObjects * 1_000) / perSecond;
      const bill = priceOfMillion(per, { cpuMs: cost.cpuMs, activeObjectMs });
      figures.push({ ...traffic, counts, per, cpuMs: cost.cpuMs, perSecond, bill });
      const { what } = traffic;
      lines.push(
        {
          what: `${what}: object calls`,
          value: `${per.serialCalls.toFixed(2)} on the way, ${per.billedObjectRequests.toFixed(2)} billed in all`,
          goal: `at most ${mostPerRequest.serialCalls} on the way`,
          isMet: isWithin(per.serialCalls, mostPerRequest.serialCalls),
        },
        {
          what: `${what}: rows`,
          value: `${per.rowsWritten.toFixed(2)} written, ${per.rowsRead.toFixed(1)} read`,
          goal: `at most ${mostPerRequest.rowsWritten} written`,
          isMet: isWithin(per.rowsWritten, mostPerRequest.rowsWritten),
        },
        {
          what: `${what}: frames`,
          value: `${per.framesOut.toFixed(2)} out, ${per.framesIn.toFixed(2)} in (${per.messagesIn.toFixed(2)} messages)`,
        },
        {
          what: `${what}: a million`,
          value: `$${bill.total.toFixed(2)} (${Object.entries(bill)
            .filter(([part]) => part !== "total")
            .map(([part, dollars]) => `${part} ${dollars.toFixed(3)}`)
            .join(", ")}), tariff of ${tariff.asOf}`,
        },
      );
    }
  } finally {
    await network.stop();
  }
  return { lines, figures };
}

function jobOf({ origin, headers }: BenchNetwork, { shape, pieces, connections, requests }: Traffic): LoadJob {
  return {
    ...{ url: `${origin}/v1/chat/completions`, headers, model: "mock-instant", warmUpMs: 0, forMs: 120_000 },
    ...{ shape, pieces, connections, requests },
  };
}

/** True up to what is looked up every few seconds for all requests together. */
export function isWithin(value: number, most: number): boolean {
  return value <= most * 1.05;
}
