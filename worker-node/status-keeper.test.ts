import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { modelNameSchema } from "../core/model/model-card.ts";
import { readNodeStatus, statusEveryMs } from "./status-file.ts";
import { StatusKeeper } from "./status-keeper.ts";

const name = modelNameSchema.parse("a-model");
const models = [
  { name, slots: 4, tokensPerSecond: 12.5, standing: null },
  { name: "b-model", slots: 4, tokensPerSecond: 12.5, standing: null },
];

let homeDir: string;
let work: { running: number; tasksResumed: number };
let keeper: StatusKeeper;
beforeEach(() => {
  vi.useFakeTimers();
  homeDir = mkdtempSync(join(tmpdir(), "status-keeper-"));
  work = { running: 0, tasksResumed: 0 };
  const node = { pid: 7, nodeId: "node_abcd", name: "attic-box", routerUrl: "https://router.example/" };
  keeper = new StatusKeeper({ homeDir, node: { ...node, startedAtMs: Date.now() }, work: () => work });
});
afterEach(() => {
  keeper.stop();
  vi.useRealTimers();
  rmSync(homeDir, { recursive: true });
});
const written = () => readNodeStatus(homeDir);

test("a node is starting until it says otherwise", () => {
  expect(written()).toMatchObject({ state: "starting", operator: null, models: [], tasksDone: 0 });
});

test("a change is written at once, with what runs", () => {
  work = { running: 3, tasksResumed: 1 };
  vi.advanceTimersByTime(10);
  keeper.change({ state: "active", operator: "k3j9q1w5e7r2", models });
  expect(written()).toMatchObject({ state: "active", running: 3, tasksResumed: 1, models, updatedAtMs: Date.now() });
});

test("what happens between is written with the next beat, and no earlier: no answer waits for the disk", () => {
  keeper.change({ state: "active", models });
  keeper.count({ kind: "chat", outcome: "stop", tokenIds: [1, 2] });
  keeper.count({ kind: "completion", outcome: "cancelled", tokenIds: [3] });
  keeper.count({ kind: "chat", outcome: "failed", tokenIds: [] });
  keeper.count({ kind: "check", outcome: "stop", tokenIds: [] });
  keeper.count({ kind: "check", outcome: "failed", tokenIds: [] });
  keeper.stand(name, { kind: "serving", text: "It gets its share." });
  keeper.countLoss("the socket broke");
  const lostAtMs = Date.now();
  expect(written()).toMatchObject({ tasksDone: 0, models, losses: { lastHour: 0, last: null } });
  vi.advanceTimersByTime(statusEveryMs);
  expect(written()).toMatchObject({
    state: "active",
    tasksDone: 2,
    checksDone: 1,
    tasksFailed: 2,
    tokensOut: 3,
    models: [{ standing: { kind: "serving", text: "It gets its share." } }, { standing: null }],
    losses: { lastHour: 1, last: { atMs: lostAtMs, reason: "the socket broke" } },
  });
});

test("a keeper that stopped writes no more", () => {
  keeper.stop();
  work = { running: 9, tasksResumed: 0 };
  vi.advanceTimersByTime(10 * statusEveryMs);
  expect(written()).toMatchObject({ running: 0 });
});
