import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { findCatalogueModel } from "../../core/model/catalogue.ts";
import { poolName } from "../../core/node-pool/pool-name.ts";
import { parseTrace } from "../../core/trace/trace.ts";
import { projectNode } from "../e2e/devnet-process.ts";
import { until } from "../e2e/wait.ts";
import { type ChaosNetwork, model } from "./network.ts";
import { longAnswer } from "./prompts.ts";
import { WatchedStream } from "./watched-stream.ts";

const replayScript = resolve(import.meta.dirname, "../simulation/replay.ts");

/** Tokens that the node has sent when it dies. */
const midStreamTokens = 40;

/** What production would export after an incident, replayed as `npm run replay FILE` does it. */
export function describeTraces(getNetwork: () => ChaosNetwork): void {
  test("what each object was told while a node died under a stream is exported, and replayed without a fault", async () => {
    const network = getNetwork();
    const file = findCatalogueModel(model);
    if (file === undefined) throw new Error("The model is in the catalogue.");
    const stream = await WatchedStream.ask(network, longAnswer(3));
    const dying = await stream.sent(midStreamTokens);
    onTestFinished(() => dying.restart());
    await dying.kill();
    const taskId = await stream.begun();
    const attempts = await until("another node goes on", () => {
      const all = network.attemptsOf(taskId);
      return all.length > 1 && all;
    });
    // At once: an object that has nothing to do for ten seconds sleeps, and its trace begins anew.
    const nodes = network.nodes.map((node) => network.traceOf("node", node.nodeId));
    const ofNodes = await Promise.all(nodes);
    const ofPool = await network.traceOf("pool", poolName(file.fileSha256));
    for (const { attemptId } of attempts) {
      expect(ofNodes.filter((trace) => trace.includes(`"attemptId":"${attemptId}"`)).length).toBeGreaterThan(0);
    }
    expect(ofPool.includes(attempts.at(-1)?.attemptId ?? "")).toBe(true);
    await stream.expectIntact();
    const folder = mkdtempSync(join(tmpdir(), "cortensor-traces-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    for (const [number, trace] of [...ofNodes, ofPool].entries()) {
      const path = join(folder, `${number}.jsonl`);
      writeFileSync(path, trace);
      const parameters = ["--disable-warning=ExperimentalWarning", replayScript, path];
      const { status, stdout, stderr } = spawnSync(projectNode, parameters, { encoding: "utf8" });
      expect([status, stderr, stdout]).toEqual([
        0,
        "",
        `${parseTrace(trace).length} entries of 1 objects: no checker failed\n`,
      ]);
    }
  });
}
