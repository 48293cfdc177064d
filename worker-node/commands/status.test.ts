import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type NodeStatus, writeNodeStatus } from "../status-file.ts";
import { status } from "./status.ts";

const known: NodeStatus = {
  pid: process.pid,
  nodeId: "node_abcd",
  name: "attic-box",
  routerUrl: "https://router.example/",
  operator: "k3j9q1w5e7r2",
  state: "active",
  problem: null,
  models: [{ name: "a-model", slots: 4, tokensPerSecond: 12.5 }],
  running: 1,
  tasksDone: 2,
  tasksFailed: 3,
  tokensOut: 4,
  startedAtMs: 0,
  updatedAtMs: Date.now(),
};

let homeDir: string;
let lines: string[];
beforeEach(() => {
  homeDir = mkdtempSync(join(tmpdir(), "status-command-"));
  lines = [];
});
afterEach(() => rmSync(homeDir, { recursive: true }));

function told(change: Partial<NodeStatus>): { code: number; text: string } {
  writeNodeStatus(homeDir, { ...known, updatedAtMs: Date.now(), ...change });
  const code = status({ homeDir, out: (line) => lines.push(line) });
  return { code, text: lines.join("\n") };
}

test("a node that takes work is shown whole, and the exit code is 0", () => {
  expect(told({})).toEqual({
    code: 0,
    text: [
      "node     node_abcd (attic-box)",
      `state    active, process ${process.pid}`,
      "router   https://router.example/",
      "operator k3j9q1w5e7r2",
      "models   a-model (4 slots, 12.5 tokens/s)",
      "work     1 running, 2 done, 3 failed, 4 tokens out",
      "since    1970-01-01T00:00:00.000Z",
    ].join("\n"),
  });
});

test.each<[what: string, change: Partial<NodeStatus>, words: string]>([
  ["is starting", { state: "starting", models: [] }, "models   none loaded"],
  ["is connecting", { state: "connecting", problem: "the socket broke" }, "problem  the socket broke"],
  ["is draining", { state: "draining" }, "state    draining, process"],
  ["was refused", { state: "refused", problem: "the invite has expired", updatedAtMs: 0 }, "state    refused"],
  ["stopped", { state: "stopped" }, "state    stopped"],
  ["died", { updatedAtMs: 0 }, "state    gone without a word"],
  ["is not yet known to the router", { state: "connecting", operator: null }, "operator not yet known"],
])("a node that %s says so, and the exit code is 1", (_what, change, words) => {
  const { code, text } = told(change);
  expect(code).toBe(1);
  expect(text).toContain(words);
});

test("a home without a node says how to start one, and the exit code is 1", () => {
  expect(status({ homeDir, out: (line) => lines.push(line) })).toBe(1);
  expect(lines).toEqual([
    `No node has run from ${homeDir} yet. Start one: cortensor-node start --router URL --token inv-…`,
  ]);
});
