import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
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
  models: [{ name: "a-model", slots: 4, tokensPerSecond: 12.5, standing: null }],
  losses: { lastHour: 0, last: null },
  running: 1,
  tasksDone: 2,
  checksDone: 6,
  tasksFailed: 3,
  tasksResumed: 5,
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
      "work     1 running, 2 done, 6 checks, 3 failed, 5 resumed, 4 tokens out",
      "socket   never lost",
      "since    1970-01-01T00:00:00.000Z",
    ].join("\n"),
  });
});

describe("what the router last said of a model", () => {
  const [model] = known.models;
  if (model === undefined) throw new Error("the example has a model");
  const models = [
    { ...model, standing: { kind: "serving", text: "It gets its share of the requests." } },
    { ...model, name: "b-model", standing: null },
    { ...model, name: "c-model", standing: { kind: "flapping", text: "Its socket broke 5 times in an hour." } },
  ];

  test("is shown beside it, a line a model", () => {
    expect(told({ models }).text).toContain(
      [
        "models   a-model (4 slots, 12.5 tokens/s): It gets its share of the requests.",
        "         b-model (4 slots, 12.5 tokens/s)",
        "         c-model (4 slots, 12.5 tokens/s): Its socket broke 5 times in an hour.",
        "work ",
      ].join("\n"),
    );
  });

  test.each<[when: string, change: Partial<NodeStatus>]>([
    ["it has no connection", { state: "connecting" }],
    ["it died", { updatedAtMs: 0 }],
  ])("is not shown where %s: it holds no more", (_when, change) => {
    expect(told({ models, ...change }).text).toContain("a-model (4 slots, 12.5 tokens/s)\n");
  });
});

test.each([
  [0, "0 times"],
  [1, "once"],
  [2, "2 times"],
])("%i lost sockets are told as %s, with when and why the last one was", (lastHour, times) => {
  const { text } = told({ losses: { lastHour, last: { atMs: 1_000, reason: "the router stopped answering" } } });
  expect(text).toContain(
    `socket   lost ${times} in the last hour, last at 1970-01-01T00:00:01.000Z: the router stopped answering`,
  );
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
