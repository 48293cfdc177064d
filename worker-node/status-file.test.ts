import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isNodeRunning, type NodeStatus, readNodeStatus, statusEveryMs, writeNodeStatus } from "./status-file.ts";

const status: NodeStatus = {
  pid: process.pid,
  nodeId: "node_abcd",
  name: "attic-box",
  routerUrl: "https://router.example/",
  operator: null,
  state: "active",
  problem: null,
  models: [
    { name: "a-model", slots: 4, tokensPerSecond: 12.5, standing: { kind: "serving", text: "It gets its share." } },
    { name: "b-model", slots: 1, tokensPerSecond: 1, standing: null },
  ],
  losses: { lastHour: 2, last: { atMs: 90_000, reason: "the socket broke" } },
  running: 1,
  tasksDone: 2,
  checksDone: 6,
  tasksFailed: 3,
  tasksResumed: 5,
  tokensOut: 4,
  startedAtMs: 1_000,
  updatedAtMs: 100_000,
};

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "status-"));
});
afterEach(() => rmSync(home, { recursive: true }));

test("a status is read as it was written", () => {
  writeNodeStatus(home, status);
  expect(readNodeStatus(home)).toEqual(status);
});

test("a home that no node ran from has no status", () => {
  expect(readNodeStatus(home)).toBeUndefined();
  expect(readNodeStatus(join(home, "nowhere"))).toBeUndefined();
});

test.each<[what: string, text: string]>([
  ["cut short", '{"pid":1'],
  ["empty", ""],
  ["of another version", JSON.stringify({ ...status, mood: "good" })],
  ["without a process", JSON.stringify({ ...status, pid: 0 })],
])("a status file that is %s counts as none, and is no crash", (_what, text) => {
  writeFileSync(join(home, "status.json"), text);
  expect(readNodeStatus(home)).toBeUndefined();
});

describe("a node runs", () => {
  test("while its process lives and its status is fresh", () => {
    expect(isNodeRunning(status, 100_000)).toBe(true);
    expect(isNodeRunning(status, 100_000 + 10 * statusEveryMs)).toBe(true);
  });

  test.each<[what: string, change: Partial<NodeStatus>, nowMs: number]>([
    ["once it said that it stopped", { state: "stopped" }, 100_000],
    ["once it has said nothing for long, though its pid lives: pids come again", {}, 100_001 + 10 * statusEveryMs],
  ])("no more %s", (_what, change, nowMs) => {
    expect(isNodeRunning({ ...status, ...change }, nowMs)).toBe(false);
  });

  test("no more once its process is gone", async () => {
    const child = spawn(process.execPath, ["--version"], { stdio: "ignore" });
    await new Promise((resolve) => child.once("exit", resolve));
    expect(isNodeRunning({ ...status, pid: child.pid ?? 0 }, 100_000)).toBe(false);
  });
});
