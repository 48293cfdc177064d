import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { randomText } from "../core/ids.ts";

/** What a devnet keeps between starts: its secrets, and how each node got in. */
const stateSchema = z.strictObject({
  adminKey: z.string(),
  databasePassword: z.string(),
  apiKey: z.string().nullable(),
  nodes: z.record(z.string(), z.strictObject({ operator: z.string(), invite: z.string() })),
});
export type DevnetState = z.infer<typeof stateSchema>;

/** `<dir>/state.json`, or fresh secrets where there is none yet. */
export function loadState(dir: string): DevnetState {
  mkdirSync(dir, { recursive: true });
  const path = join(dir, "state.json");
  if (existsSync(path)) return stateSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  return { adminKey: `admin-${randomText(40)}`, databasePassword: randomText(24), apiKey: null, nodes: {} };
}

/** Rewrites `<dir>/state.json`. */
export function saveState(dir: string, state: DevnetState): void {
  writePrivately(join(dir, "state.json"), state);
}

/** What runs, for scripts: `<dir>/running.json`, there only while the devnet is ready. */
export const runningSchema = z.strictObject({
  baseUrl: z.url(),
  apiKey: z.string(),
  adminKey: z.string(),
  pid: z.int(),
  nodes: z.array(z.strictObject({ name: z.string(), operator: z.string(), pid: z.int(), command: z.string() })),
  logs: z.string(),
});
export type Running = z.infer<typeof runningSchema>;

/** The devnet that runs from this directory, or `undefined`: a file whose process is gone was left by a crash. */
export function readRunning(dir: string): Running | undefined {
  const path = join(dir, "running.json");
  if (!existsSync(path)) return undefined;
  const parsed = runningSchema.safeParse(JSON.parse(readFileSync(path, "utf8")));
  return parsed.success && isAlive(parsed.data.pid) ? parsed.data : undefined;
}

/** Tells scripts what runs; its being there means that the devnet is ready. */
export function writeRunning(dir: string, running: Running): void {
  writePrivately(join(dir, "running.json"), running);
}

/** True while a process has this id. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Secrets are in it, so only its owner may read it; a reader sees the old text or the new. */
function writePrivately(path: string, value: unknown): void {
  writeFileSync(`${path}.part`, JSON.stringify(value, null, 2), { mode: 0o600 });
  renameSync(`${path}.part`, path);
}
