import { setTimeout } from "node:timers/promises";
import { residentBytes } from "../process-figures.ts";
import type { ReportLine } from "../report.ts";
import type { BenchGround } from "./bench-ground.ts";
import { runLoad } from "./run-load.ts";

/** Growth from the first tenths to the last that counts as flat: a garbage collector's sawtooth is of this size. */
const flatBytes = 32 * 1024 * 1024;
const mebibyte = 1024 * 1024;
/**
 * Load before the first sample: an object remembers ended attempts for 30 s, so that for as long its memory grows with
 * the rate and not with the number of requests.
 */
const fillMs = 35_000;

/** Memory of the router's process over many requests: once it is filled it must not grow with their number. */
export async function measureMemory({
  network,
  folder,
  isQuick,
}: BenchGround): Promise<{ lines: ReportLine[]; figures: unknown }> {
  const requests = isQuick ? 20_000 : 100_000;
  const share = requests / 10;
  const job = {
    url: `${network.origin}/v1/chat/completions`,
    headers: network.headers,
    shape: "whole",
    model: "mock-instant",
    pieces: 1,
    connections: 64,
    warmUpMs: 0,
  } as const;
  await runLoad({ ...job, forMs: isQuick ? 5_000 : fillMs, requests: null }, { folder });
  const samples: number[] = [];
  for (let done = 0; done < requests; done += share) {
    await runLoad({ ...job, forMs: 300_000, requests: share }, { folder });
    // Records leave in batches after the requests; what is on its way is not held for good.
    await setTimeout(1_000);
    samples.push(residentBytes(network.routerPid));
  }
  // The lowest of each end: a sample just before a collection is too high.
  const grownBytes = Math.min(...samples.slice(-3)) - Math.min(...samples.slice(0, 3));
  return {
    lines: [
      {
        what: `after each ${share} of ${requests} requests`,
        value: `${samples.map((bytes) => (bytes / mebibyte).toFixed(0)).join(", ")} MiB`,
      },
      {
        what: "grown",
        value: `${(grownBytes / mebibyte).toFixed(1)} MiB from the first tenths to the last`,
        // A quick run measures while the memory still fills.
        ...(isQuick ? {} : { goal: "flat", isMet: grownBytes < flatBytes }),
      },
    ],
    figures: { requests, samples, grownBytes },
  };
}
