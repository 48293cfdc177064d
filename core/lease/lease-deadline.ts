import { limits } from "../limits.ts";
import type { Lease } from "./lease.ts";

/** A node that was told to stop has this long to say what it had. */
const cancelAnswerMs = 5_000;

export type Deadline = { atMs: number; type: "answerDue" | "ackDue" | "silent" | "socketGone" | "readerGone" };

/** What ends a lease next if nothing more is heard of it, and when (milliseconds since the epoch). */
export function deadlineOf(lease: Lease): Deadline {
  const { attempt, ending, heardAtMs, socketLostAtMs, detachedAtMs } = lease;
  if (ending !== null) return { atMs: answerDueMs(ending.sinceMs, lease), type: "answerDue" };
  // A reader comes back within moments or never, and what follows then ends the lease by itself.
  if (detachedAtMs !== null) return { atMs: detachedAtMs + limits.reattachMs, type: "readerGone" };
  const socketGoneMs = socketLostAtMs === null ? Number.POSITIVE_INFINITY : socketLostAtMs + limits.attachedGraceMs;
  const word: Deadline =
    attempt.ackedAtMs === null
      ? { atMs: heardAtMs + limits.ackMs, type: "ackDue" }
      : { atMs: heardAtMs + limits.silenceMs, type: "silent" };
  return socketGoneMs < word.atMs ? { atMs: socketGoneMs, type: "socketGone" } : word;
}

/**
 * Until when the node may say what it had. Without its socket it is not waited for, since what came was counted; unless
 * a reset forgot the counts, and only the node can tell them.
 */
function answerDueMs(sinceMs: number, { socketLostAtMs, hadReader }: Lease): number {
  if (socketLostAtMs === null) return sinceMs + cancelAnswerMs;
  return hadReader ? sinceMs : Math.max(sinceMs, socketLostAtMs + limits.leaseGraceMs);
}
