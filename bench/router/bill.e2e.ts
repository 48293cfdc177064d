import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { BenchNetwork } from "./bench-network.ts";
import { countTraffic, isWithin, mostPerRequest, startCounting, type Traffic, traffics } from "./bill.ts";
import { total } from "./counts.ts";
import type { PerRequest } from "./price.ts";

/**
 * What a request may take, guarded: each of these is paid for, or takes time on its way. Raising a number here is a
 * choice that stands in the commit's message.
 */
const mostOf: Readonly<Record<string, Partial<PerRequest>>> = {
  "short, one at a time": { billedObjectRequests: 3, framesOut: 1.1, framesIn: 4, messagesIn: 2 },
  "short, 64 at once": { billedObjectRequests: 2.5, framesOut: 1.1, framesIn: 4, messagesIn: 1.5, rowsWritten: 2 },
  // One frame an answer's beginning, then one a tick for all answers of a socket together.
  "streams of 50 deltas, 16 at once": { billedObjectRequests: 3, framesOut: 1.5, framesIn: 7, messagesIn: 3 },
};

const folder = mkdtempSync(join(tmpdir(), "cortensor-bill-"));
let network: BenchNetwork;

beforeAll(async () => {
  network = await startCounting(join(folder, "network"));
});

afterAll(async () => {
  await network.stop();
  rmSync(folder, { recursive: true, force: true });
});

const few = (traffic: Traffic): Traffic => ({ ...traffic, requests: traffic.requests / 2 });

test.each(traffics.map((traffic) => [traffic.what, few(traffic)] as const))(
  "a request of this traffic takes no more calls, rows and frames than it may: %s",
  async (what, traffic) => {
    const { counts, per } = await countTraffic(network, traffic, { folder });
    // A counter that counts nothing would guard nothing.
    expect(total(counts.workerCalls)).toBeGreaterThanOrEqual(traffic.requests);
    expect(counts.framesIn).toBeGreaterThanOrEqual(traffic.requests);
    expect(counts.rowsWritten).toBeGreaterThan(0);
    const most: Partial<PerRequest> = { ...mostPerRequest, ...mostOf[what] };
    const tooMuch = Object.entries(most).filter(([name, limit]) => {
      const value = Object.entries(per).find(([counted]) => counted === name)?.[1] ?? Number.POSITIVE_INFINITY;
      return !isWithin(value, limit);
    });
    expect(tooMuch, JSON.stringify(per)).toEqual([]);
  },
);
