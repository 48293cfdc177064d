import { type AccountId, accountIdSchema, taskIdSchema } from "../../core/ids.ts";
import { newReputation, noteVerdict, type Reputation } from "../../core/reputation/reputation.ts";
import { standingInTrust } from "../../core/reputation/trust-standing.ts";

/** What a check of one answer comes to. */
export interface Outcome {
  isBad: boolean;
  isGross: boolean;
}

/** After how many of its tasks a node was found out, and suspended; `null` where that never came. */
export interface NodeFate {
  foundAfter: number | null;
  suspendedAfter: number | null;
}

/** Three operators, as the network wants for a suspension. */
const operators: readonly AccountId[] = ["a", "b", "c"].map((letter) => accountIdSchema.parse(letter.repeat(12)));
/** A node's tasks follow each other so fast here; trust fades with time. */
const taskEveryMs = 10_000;

/**
 * Lets a node do `tasks` tasks under the policy `sampled`: each is checked with the share that its reputation calls for,
 * and every bad word of a check is confirmed, as it is where validators are honest. `outcomeOf` gives what a check of
 * its next answer would say.
 */
export function sampleNode({
  tasks,
  start = newReputation(0),
  until = "suspended",
  outcomeOf,
  random,
}: {
  tasks: number;
  start?: Reputation;
  /** Where the walk ends early. */
  until?: "found" | "suspended";
  outcomeOf: () => Outcome;
  random: () => number;
}): NodeFate {
  let reputation = start;
  const fate: NodeFate = { foundAfter: null, suspendedAfter: null };
  for (let task = 1; task <= tasks && fate[`${until}After`] === null; task++) {
    const nowMs = start.atMs + task * taskEveryMs;
    const { isBad, isGross } = outcomeOf();
    const { auditShare } = standingInTrust(reputation, nowMs);
    if (random() >= auditShare) continue;
    if (isBad) fate.foundAfter ??= task;
    const taskId = taskIdSchema.parse(`task_${String(task).padStart(26, "0")}`);
    const word = { outcome: isBad ? ("invalid" as const) : ("valid" as const), confirmedBy: isBad ? operators : [] };
    reputation = noteVerdict(reputation, { taskId, isGross, chosenWith: auditShare, isShort: false, ...word }, nowMs);
    if (standingInTrust(reputation, nowMs).isSuspended) fate.suspendedAfter = task;
  }
  return fate;
}

/** The reputation of a node after so many honest answers. */
export function trustedNode({ tasks, random }: { tasks: number; random: () => number }): Reputation {
  let reputation = newReputation(0);
  for (let task = 1; task <= tasks; task++) {
    const nowMs = task * taskEveryMs;
    const { auditShare } = standingInTrust(reputation, nowMs);
    if (random() >= auditShare) continue;
    const taskId = taskIdSchema.parse(`task_${String(task).padStart(26, "0")}`);
    const verdict = {
      outcome: "valid",
      isGross: false,
      chosenWith: auditShare,
      confirmedBy: [],
      isShort: false,
    } as const;
    reputation = noteVerdict(reputation, { taskId, ...verdict }, nowMs);
  }
  return reputation;
}

/** The share of these nodes whose fate came within so many tasks. */
export function shareWithin(fates: readonly NodeFate[], what: keyof NodeFate, tasks: number): number {
  return fates.filter((fate) => (fate[what] ?? Number.POSITIVE_INFINITY) <= tasks).length / fates.length;
}
