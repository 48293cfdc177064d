import { cpuMs } from "../process-figures.ts";
import { BenchNetwork } from "./bench-network.ts";
import { Direct } from "./direct.ts";
import { Echo } from "./echo.ts";
import type { LoadJob, LoadResult } from "./load-job.ts";
import { runLoad } from "./run-load.ts";

/** A way to an answer: through the router, past it, or the floor that workerd allows. */
export type Way = "router" | "direct" | "echo";

/** What is asked on each way; the rest of a {@link LoadJob} is the way's own. */
export type Ask = Omit<LoadJob, "url" | "headers" | "shape" | "warmUpMs" | "requests"> & { shape: "whole" | "stream" };

/** A measurement with the CPU time of workerd for each request, in microseconds. */
export interface CostedLoad extends LoadResult {
  cpuMicros: number;
}

/** Before each measurement, in the client's process: connections are opened, and code is compiled on both ends. */
const warmUpMs = { full: 2_000, quick: 1_000 };

/** The ground on which most parts of the bench stand: all three ways side by side, so that one run compares them. */
export class BenchGround {
  readonly network: BenchNetwork;
  readonly echo: Echo;
  readonly direct: Direct;
  readonly folder: string;
  readonly isQuick: boolean;

  private constructor(parts: {
    network: BenchNetwork;
    echo: Echo;
    direct: Direct;
    folder: string;
    isQuick: boolean;
  }) {
    this.network = parts.network;
    this.echo = parts.echo;
    this.direct = parts.direct;
    this.folder = parts.folder;
    this.isQuick = parts.isQuick;
  }

  /** Four nodes of 64 slots, as many callers as any part has and more. */
  static async start({ folder, isQuick }: { folder: string; isQuick: boolean }): Promise<BenchGround> {
    const network = await BenchNetwork.start({ folder, nodes: 4, slots: 64 });
    const echo = await Echo.start(folder);
    return new BenchGround({ network, echo, direct: await Direct.start(folder), folder, isQuick });
  }

  /**
   * One measurement on one way. On the echo's, a whole answer is what was asked, and a stream as on the others. With
   * `requests`, ends after so many.
   */
  async load(way: Way, ask: Ask, { requests }: { requests?: number } = {}): Promise<LoadResult> {
    const warmUp = this.isQuick ? warmUpMs.quick : warmUpMs.full;
    // So many requests are all that are asked, and none before them.
    const extent = { requests: requests ?? null, warmUpMs: requests === undefined ? warmUp : 0 };
    return await runLoad({ ...ask, ...this.#addressOf(way, ask.shape), ...extent }, { folder: this.folder });
  }

  /** One measurement with what it cost the workerd of its way. */
  async loadWithCpu(way: "router" | "echo", ask: Ask): Promise<CostedLoad> {
    const pid = this.pidOf(way);
    const before = cpuMs(pid);
    const result = await this.load(way, ask);
    const micros = (cpuMs(pid) - before) * 1_000;
    return { ...result, cpuMicros: micros / (result.requests + result.warmUpRequests) };
  }

  /** The workerd of a way. */
  pidOf(way: "router" | "echo"): number {
    return way === "router" ? this.network.routerPid : this.echo.routerPid;
  }

  async stop(): Promise<void> {
    await this.direct.stop();
    await this.echo.stop();
    await this.network.stop();
  }

  #addressOf(way: Way, shape: Ask["shape"]): Pick<LoadJob, "url" | "headers" | "shape"> {
    const route = "/v1/chat/completions";
    switch (way) {
      case "router":
        return { url: this.network.origin + route, headers: this.network.headers, shape };
      case "direct":
        return { url: this.direct.origin + route, headers: {}, shape };
      case "echo":
        return { url: this.echo.url, headers: {}, shape: shape === "whole" ? "echo" : shape };
    }
  }
}
