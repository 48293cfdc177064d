import { setTimeout } from "node:timers/promises";
import { residentBytes } from "../process-figures.ts";
import type { ReportLine } from "../report.ts";
import type { BenchGround } from "./bench-ground.ts";

/** Growth from the first tenths to the last that counts as flat: a garbage collector's sawtooth is of this size. */
const flatBytes = 32 * 1024 * 1024;
const mebibyte = 1024 * 1024;
/**
 * Load before the first sample: an object remembers ended attempts for 30 s, so that for as long its memory grows with
 * the rate and not with the number of requests.
 */
const fillMs = 35_000;

/**
 * Memory of the router's process over many requests, with the floor's beside it: once it is filled it must not grow with
 * their number.
 */
export async function measureMemory(ground: BenchGround): Promise<{ lines: ReportLine[]; figures: unknown }> {
  const requests = ground.isQuick ? 20_000 : 100_000;
  const echo = await sampled(ground, "echo", requests);
  const router = await sampled(ground, "router", requests);
  const told = ({ samples }: Samples) => `${samples.map((bytes) => (bytes / mebibyte).toFixed(0)).join(", ")} MiB`;
  const grown = ({ grownBytes }: Samples) =>
    `${(grownBytes / mebibyte).toFixed(1)} MiB from the first tenths to the last`;
  return {
    lines: [
      { what: `after each ${requests / 10} of ${requests} requests`, value: told(router) },
      { what: "the echo's", value: told(echo) },
      {
        what: "grown",
        value: grown(router),
        // A quick run measures while the memory still fills.
        ...(ground.isQuick ? {} : { goal: "flat", isMet: router.grownBytes < flatBytes }),
      },
      { what: "grown, the echo's", value: grown(echo) },
    ],
    figures: { requests, router, echo },
  };
}

/** Resident bytes of one workerd after each tenth of the requests. */
interface Samples {
  samples: number[];
  grownBytes: number;
}

async function sampled(ground: BenchGround, way: "router" | "echo", requests: number): Promise<Samples> {
  const ask = { shape: "whole", model: "mock-instant", pieces: 1, connections: 64 } as const;
  await ground.load(way, { ...ask, forMs: ground.isQuick ? 5_000 : fillMs });
  const samples: number[] = [];
  for (let tenth = 0; tenth < 10; tenth += 1) {
    await ground.load(way, { ...ask, forMs: 300_000 }, { requests: requests / 10 });
    // Records leave in batches after the requests; what is on its way is not held for good.
    await setTimeout(1_000);
    samples.push(residentBytes(ground.pidOf(way)));
  }
  // The lowest of each end: a sample just before a collection is too high.
  return { samples, grownBytes: Math.min(...samples.slice(-3)) - Math.min(...samples.slice(0, 3)) };
}
