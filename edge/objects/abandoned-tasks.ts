import { closeAbandonedTasks } from "../../db/queries/close-abandoned-tasks.ts";
import type { Env } from "../env.ts";
import { connectFromEnv } from "./send-record.ts";

const sweepEveryMs = 10 * 60_000;

/**
 * Ends tasks in the record that nobody else can end: their Worker died between two attempts. Returns when it is next
 * due, milliseconds since the epoch; a Postgres that is away is asked again then.
 */
export async function sweepAbandonedTasks(env: Env, nowMs: number): Promise<number> {
  try {
    const closed = await closeAbandonedTasks(connectFromEnv(env), nowMs);
    if (closed > 0) console.warn("status: tasks whose Worker died were ended", { closed });
  } catch (error) {
    console.error("status: abandoned tasks could not be looked for, it is tried again", { error: String(error) });
  }
  return nowMs + sweepEveryMs;
}
