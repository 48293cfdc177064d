import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { jsonOf, writeAtomically } from "./home.ts";

/** How a node says that it lives: rewritten this often, and at each change. */
export const statusEveryMs = 2_000;

export const nodeStatusSchema = z.strictObject({
  pid: z.int().positive(),
  nodeId: z.string(),
  name: z.string(),
  routerUrl: z.string(),
  /** Account the node belongs to, once the router has said so. */
  operator: z.string().nullable(),
  state: z.enum(["starting", "connecting", "active", "draining", "refused", "stopped"]),
  /** What keeps it from work, where something does. */
  problem: z.string().nullable(),
  models: z.array(
    z.strictObject({
      name: z.string(),
      slots: z.int(),
      tokensPerSecond: z.number(),
      /** The router's last word on why it gets work or none. */
      standing: z.strictObject({ kind: z.string(), text: z.string() }).nullable(),
    }),
  ),
  /** Sockets that were welcome and broke. */
  losses: z.strictObject({
    lastHour: z.int().nonnegative(),
    last: z.strictObject({ atMs: z.int().nonnegative(), reason: z.string() }).nullable(),
  }),
  running: z.int().nonnegative(),
  /** Answers; checks of others' answers are counted by themselves. */
  tasksDone: z.int().nonnegative(),
  checksDone: z.int().nonnegative(),
  tasksFailed: z.int().nonnegative(),
  /** How often a task went on after its socket or its reader had been lost. */
  tasksResumed: z.int().nonnegative(),
  tokensOut: z.int().nonnegative(),
  startedAtMs: z.int().nonnegative(),
  updatedAtMs: z.int().nonnegative(),
});
export type NodeStatus = z.infer<typeof nodeStatusSchema>;

/** `<home>/status.json`, or `undefined` where no node ever ran from this home, or none that wrote it like this. */
export function readNodeStatus(homeDir: string): NodeStatus | undefined {
  const path = join(homeDir, "status.json");
  if (!existsSync(path)) return undefined;
  const parsed = nodeStatusSchema.safeParse(jsonOf(readFileSync(path, "utf8")));
  return parsed.success ? parsed.data : undefined;
}

/** Rewrites `<home>/status.json`; a reader sees the old text or the new. */
export function writeNodeStatus(homeDir: string, status: NodeStatus): void {
  writeAtomically(join(homeDir, "status.json"), JSON.stringify(status, null, 2));
}

/** True where the process that wrote this status still runs. A fresh time is asked for too, since pids come again. */
export function isNodeRunning(status: NodeStatus, nowMs: number): boolean {
  if (status.state === "stopped" || nowMs - status.updatedAtMs > 10 * statusEveryMs) return false;
  try {
    process.kill(status.pid, 0);
    return true;
  } catch {
    return false;
  }
}
