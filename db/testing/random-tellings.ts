import type { RecordEntry, TaskRecord } from "../../core/record/entry.ts";
import { account, attempt, invite, key, node, startMs, task } from "./entries.ts";
import type { SeededRandom } from "./seeded-random.ts";

/** What the tellings of one world must add up to, known from how the world was made and not from any merge. */
export interface Truth {
  states: Record<string, number>;
  billed: { tasks: number; promptTokens: number; completionTokens: number };
  attempts: { total: number; committed: number; promptTokens: number; completionTokens: number };
  revokedKeys: number;
  usedNodes: number;
  softwareOfNodes: string[];
}

/**
 * Entries as several writers would tell of one small world, each thing more than once, earlier and poorer tellings of a
 * task among them; with the truth they tell of. `taskCount` tasks of one account.
 */
export function randomTellings(random: SeededRandom, taskCount: number): { entries: RecordEntry[]; truth: Truth } {
  const entries: RecordEntry[] = [account("alice"), account("oscar")];
  const truth: Truth = {
    states: {},
    billed: { tasks: 0, promptTokens: 0, completionTokens: 0 },
    attempts: { total: 0, committed: 0, promptTokens: 0, completionTokens: 0 },
    revokedKeys: 0,
    usedNodes: 0,
    softwareOfNodes: [],
  };
  for (let number = 0; number < 5; number += 1) {
    const isRevoked = random.below(2) === 0;
    const revokedAtMs = startMs + 5_000 + random.below(1_000);
    entries.push(key(`k${number}`));
    if (isRevoked)
      entries.push(key(`k${number}`, { revokedAtMs }), key(`k${number}`, { revokedAtMs: revokedAtMs + 1 }));
    truth.revokedKeys += isRevoked ? 1 : 0;

    const usedNodes = random.below(10);
    for (let used = 0; used <= usedNodes; used += 1) entries.push(invite(`i${number}`, { usedNodes: used }));
    truth.usedNodes += usedNodes;

    const lastSeen = random.below(4);
    for (let seen = 0; seen <= lastSeen; seen += 1) {
      entries.push(node(`n${number}`, { software: `cortensor-node 0.${seen}.0`, seenAtMs: startMs + seen }));
    }
    truth.softwareOfNodes.push(`cortensor-node 0.${lastSeen}.0`);
  }
  for (let number = 0; number < taskCount; number += 1) entries.push(...randomTask(random, { number, truth }));
  return { entries, truth };
}

/** One task with two attempts: the first was lost, the second ended as the task did. */
function randomTask(random: SeededRandom, { number, truth }: { number: number; truth: Truth }): TaskRecord[] {
  const state = (["completed", "failed", "cancelled", "expired"] as const)[random.below(4)] ?? "completed";
  // A cancelled task may have got no token, and is not billed then.
  const promptTokens = state === "cancelled" && random.below(2) === 0 ? 0 : 1 + random.below(50);
  const completionTokens = promptTokens === 0 ? 0 : random.below(100);
  const lostTokens = random.below(20);
  const name = `t${number}`;
  const lost = attempt(`${name}lost`, { state: "lost", reason: "socket gone", nodeId: "node_n00000" });
  const lostWithCounts = { ...lost, reason: null, completionTokens: lostTokens, ackedAtMs: startMs + 10 };
  const last = attempt(`${name}last`, {
    state: state === "completed" ? "committed" : "rejected",
    promptTokens,
    completionTokens,
    endedAtMs: startMs + 2_000,
  });
  const ended = task(name, {
    state,
    promptTokens,
    completionTokens,
    endedAtMs: startMs + 2_000,
    attempts: [lost, last],
  });

  truth.states[state] = (truth.states[state] ?? 0) + 1;
  if (state === "completed" || (state === "cancelled" && promptTokens + completionTokens > 0)) {
    truth.billed.tasks += 1;
    truth.billed.promptTokens += promptTokens;
    truth.billed.completionTokens += completionTokens;
  }
  truth.attempts.total += 2;
  truth.attempts.committed += state === "completed" ? 1 : 0;
  truth.attempts.promptTokens += promptTokens;
  truth.attempts.completionTokens += completionTokens + lostTokens;

  const tellings: TaskRecord[] = [
    // The first node's object knows of its own attempt only, and that the task went on.
    task(name, { state: "queued", promptTokens: 999, endedAtMs: startMs + 9_000, attempts: [lostWithCounts] }),
    ended,
    ended,
  ];
  // A writer that saw the caller go, before the others knew how the task ended; it counted fewer tokens.
  if (state !== "cancelled")
    tellings.push(task(name, { state: "cancelled", promptTokens: 7, endedAtMs: startMs + 8_000 }));
  else
    tellings.push(
      task(name, { state: "cancelled", endedAtMs: startMs + 1_500, attempts: [{ ...last, state: "lost" }] }),
    );
  return tellings;
}
