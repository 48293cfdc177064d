import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isAlive, loadState, type Running, readRunning, saveState, writeRunning } from "./state.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "devnet-state-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const running: Running = {
  baseUrl: "http://127.0.0.1:8787/v1",
  apiKey: "sk-acct-secret",
  adminKey: "admin-secret",
  pid: process.pid,
  nodes: [{ name: "node-1", operator: "acct", pid: 1, command: "node cli.js" }],
  logs: "logs",
};

async function pidOfTheDead(): Promise<number> {
  const child = spawn(process.execPath, ["--version"], { stdio: "ignore" });
  await new Promise((resolve) => child.once("exit", resolve));
  return child.pid ?? 0;
}

test("secrets are drawn once and stay", () => {
  const fresh = loadState(dir);
  expect(fresh.adminKey.length).toBeGreaterThanOrEqual(40);
  expect(loadState(dir)).not.toEqual(fresh);
  saveState(dir, fresh);
  expect(loadState(dir)).toEqual(fresh);
});

test("what holds secrets may be read by its owner alone", () => {
  saveState(dir, loadState(dir));
  writeRunning(dir, running);
  for (const file of ["state.json", "running.json"]) expect(statSync(join(dir, file)).mode & 0o777).toBe(0o600);
});

test("a devnet that runs is found by what it wrote", () => {
  expect(readRunning(dir)).toBeUndefined();
  writeRunning(dir, running);
  expect(readRunning(dir)).toEqual(running);
});

test("a devnet whose process is gone does not run, whatever it left", async () => {
  writeRunning(dir, { ...running, pid: await pidOfTheDead() });
  expect(readRunning(dir)).toBeUndefined();
});

test("what another version wrote does not run", () => {
  writeFileSync(join(dir, "running.json"), JSON.stringify({ pid: process.pid }));
  expect(readRunning(dir)).toBeUndefined();
});

test("a process is alive until it ends", async () => {
  expect(isAlive(process.pid)).toBe(true);
  expect(isAlive(await pidOfTheDead())).toBe(false);
});
