import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { z } from "zod";
import { cpuMs, residentBytes } from "../process-figures.ts";
import { readReady } from "../ready-line.ts";
import { ms, type ReportLine } from "../report.ts";
import { BenchNetwork } from "./bench-network.ts";
import { Echo } from "./echo.ts";

const mebibyte = 1024 * 1024;
/** An idle object sleeps after about 10 s. */
const asleepMs = 15_000;

/**
 * A thousand nodes at once: what their idle sockets hold of the router's memory, beside bare ones; and how long they
 * take to be back after the router was killed and started again, all dialling at the same time, while a caller asks
 * from the moment at which it listens.
 */
export async function measureStorm({
  folder,
  isQuick,
}: {
  folder: string;
  isQuick: boolean;
}): Promise<{ lines: ReportLine[]; figures: unknown }> {
  const nodes = isQuick ? 200 : 1_000;
  const floor = { few: await echoBytes(folder, 4), many: await echoBytes(folder, nodes) };
  const few = await startNetwork(folder, 1);
  const fewBytes = await sleepingBytes(few.routerPid);
  await few.stop();

  const network = await startNetwork(folder, nodes);
  try {
    const manyBytes = await sleepingBytes(network.routerPid);
    const linesBefore = { nodes: network.nodes.lines.length, router: network.router.lines.length };
    process.kill(network.routerPid, "SIGKILL");
    await network.router.lineWhere(readReady, { from: linesBefore.router, withinMs: 60_000 });
    const listensAtMs = Date.now();
    const firstAnswerMs = (await firstAnswerAt(network)) - listensAtMs;
    const allBackMs = (await network.allOpen({ since: linesBefore.nodes })) - listensAtMs;
    const stormCpuMs = cpuMs(network.routerPid);
    const ofThousand = (bytes: number) => `${((bytes / nodes) * (1_000 / mebibyte)).toFixed(1)} MiB`;
    return {
      lines: [
        { what: "memory of 1,000 idle nodes", value: `${ofThousand(manyBytes - fewBytes)}, from ${nodes} of them` },
        { what: "memory of 1,000 bare sockets", value: ofThousand(floor.many - floor.few) },
        { what: `router killed, ${nodes} nodes back`, value: `${ms(allBackMs)} after it listens again` },
        { what: "router killed, a caller's first answer", value: `${ms(firstAnswerMs)} after it listens again` },
        { what: "CPU of workerd until then", value: ms(stormCpuMs) },
      ],
      figures: { nodes, floor, fewBytes, manyBytes, allBackMs, firstAnswerMs, stormCpuMs },
    };
  } finally {
    await network.stop();
  }
}

async function startNetwork(folder: string, nodes: number): Promise<BenchNetwork> {
  const models = ["mock-instant"] as const;
  return await BenchNetwork.start({ folder: join(folder, `of-${nodes}`), nodes, slots: 1, models });
}

async function echoBytes(folder: string, sockets: number): Promise<number> {
  const inside = join(folder, `echo-of-${sockets}`);
  mkdirSync(inside, { recursive: true });
  const echo = await Echo.start(inside, { sockets });
  try {
    return await sleepingBytes(echo.routerPid);
  } finally {
    await echo.stop();
  }
}

/** Memory of a workerd that was left alone until its objects sleep. */
async function sleepingBytes(pid: number): Promise<number> {
  await setTimeout(asleepMs);
  return residentBytes(pid);
}

/** Asks until one is answered; milliseconds since the epoch. */
async function firstAnswerAt({ origin, headers }: BenchNetwork): Promise<number> {
  const deadlineMs = Date.now() + 60_000;
  for (;;) {
    const response = await fetch(`${origin}/v1/chat/completions`, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      body: JSON.stringify({ model: "mock-instant", messages: [{ role: "user", content: "Hello" }], max_tokens: 1 }),
    });
    const body: unknown = await response.json();
    if (response.ok) return Date.now();
    if (Date.now() > deadlineMs) throw new Error(`no request was answered: ${JSON.stringify(body)}`);
    // Whatever it is, it is said in the API's own words.
    z.object({ error: z.object({ code: z.string() }) }).parse(body);
    await setTimeout(20);
  }
}
