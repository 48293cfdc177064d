import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readFlags } from "./flags.ts";
import { describeMachine, ForeignLoad } from "./machine.ts";
import { type Comparison, compare } from "./peers/compare.ts";
import { installPeers } from "./peers/install-peers.ts";
import { PeerProcess } from "./peers/peer-process.ts";
import type { Way } from "./peers/way.ts";
import { type PartReport, tableOf, writeResults } from "./report.ts";
import { BenchNetwork } from "./router/bench-network.ts";
import { Direct } from "./router/direct.ts";

const whole = { shape: "whole", pieces: 1 } as const;
const stream = { shape: "stream", pieces: 50 } as const;

/** The shapes of `bench:router` that every gateway knows. */
const comparisons: Readonly<Record<string, readonly Comparison[]>> = {
  throughput: [1, 10, 64, 200].map((connections) => ({ what: `${connections} callers`, connections, ...whole })),
  streams: [1, 16, 64].map((connections) => ({ what: `${connections} streams of 50`, connections, ...stream })),
};

const { isQuick, only } = readFlags({ command: "bench:peers", parts: Object.keys(comparisons) });
const startedAt = new Date().toISOString();
const route = "/v1/chat/completions";
const parts: PartReport[] = [];
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));

const { vllmRouter, portkeyGateway } = installPeers((text) => console.log(text));
const folder = mkdtempSync(join(tmpdir(), "cortensor-peers-"));
const running: { stop(): Promise<void> }[] = [];
try {
  const network = await BenchNetwork.start({ folder: join(folder, "ours"), nodes: 4, slots: 64 });
  running.push(network);
  const peersFolder = join(folder, "peers");
  mkdirSync(peersFolder);
  const direct = await Direct.start(peersFolder);
  running.push(direct);
  const vllm = await PeerProcess.start({
    name: "vllm-router",
    command: (port) => [
      ...([vllmRouter, "--host", "127.0.0.1", "--port", String(port), "--worker-urls", direct.origin] as const),
      ...["--policy", "round_robin", "--log-level", "warning", "--prometheus-port", String(port + 1)],
    ],
    ...{ probe: "/health", folder: peersFolder },
  });
  running.push(vllm);
  const portkey = await PeerProcess.start({
    name: "portkey",
    command: (port) => [process.execPath, portkeyGateway, "--headless", `--port=${port}`],
    ...{ probe: "/", folder: peersFolder },
  });
  running.push(portkey);
  const ways: Way[] = [
    { name: "direct", url: direct.origin + route, headers: {}, pid: direct.pid },
    { name: "ours", url: network.origin + route, headers: network.headers, pid: network.routerPid },
    { name: "vllm-router", url: vllm.origin + route, headers: {}, pid: vllm.pid },
    {
      name: "portkey",
      url: portkey.origin + route,
      headers: {
        authorization: "Bearer none",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": `${direct.origin}/v1`,
      },
      pid: portkey.pid,
    },
  ];
  const times = isQuick ? { rounds: 1, forMs: 2_000, warmUpMs: 1_000 } : { rounds: 3, forMs: 4_000, warmUpMs: 1_500 };
  for (const [part, ofPart] of Object.entries(comparisons)) {
    if (only.length > 0 && !only.includes(part)) continue;
    const load = new ForeignLoad();
    const beganAtMs = performance.now();
    const measured = [];
    for (const comparison of ofPart) measured.push(await compare(comparison, ways, { folder: peersFolder, ...times }));
    const report: PartReport = {
      part,
      lines: measured.flatMap(({ lines }) => lines),
      figures: measured.map(({ figures }) => figures),
      foreignCores: load.cores(performance.now() - beganAtMs),
    };
    parts.push(report);
    console.log(tableOf(report));
  }
  console.log(`All figures: ${writeResults("peers", { machine: describeMachine(), startedAt, isQuick, parts })}`);
} catch (error) {
  console.error(error);
  console.error(`The logs are kept in ${folder}.`);
  process.exitCode = 1;
} finally {
  for (const each of running.toReversed()) await each.stop();
  if (process.exitCode !== 1) rmSync(folder, { recursive: true, force: true });
}
