import type { TaskFault } from "../lease/lease-effect.ts";
import type { RefusalCode } from "../refusal.ts";
import type { Task } from "./task.ts";

/** What becomes of a task that a node found at fault. */
export type RefusalFate =
  /** No node does it as it is asked: the caller is told. */
  | { kind: "final"; code: RefusalCode }
  /** Another node may; `reason` is for the record. */
  | { kind: "elsewhere"; reason: string };

const codes = {
  context_length_exceeded: "context_length_exceeded",
  unsupported: "unsupported_parameter",
} as const satisfies Record<TaskFault["code"], RefusalCode>;

/**
 * A refusal is final, unless the node merely reads less than another (`mostContextTokens`, of the node that reads most),
 * or lacks what another may have; the last of the attempts that bring nothing is final in any case. What the caller has
 * heard already is no fault of the task: another goes on.
 */
export function fateOfRefusal(
  fault: TaskFault,
  { task, mostContextTokens }: { task: Task; mostContextTokens: number },
): RefusalFate {
  if (fault.code === "context_length_exceeded") {
    const { promptTokens, contextTokens } = fault;
    const fitsElsewhere = contextTokens < mostContextTokens && promptTokens < mostContextTokens;
    const reason = `the prompt has ${promptTokens} tokens and this node reads ${contextTokens}`;
    return fitsElsewhere || task.isDelivered
      ? { kind: "elsewhere", reason }
      : { kind: "final", code: codes[fault.code] };
  }
  const isLast = task.barrenAttempts + 1 >= task.maxBarrenAttempts;
  const isElsewhere = task.isDelivered || (fault.isOnlyHere === true && !isLast);
  const reason = `${fault.code}: ${fault.message}`;
  return isElsewhere ? { kind: "elsewhere", reason } : { kind: "final", code: codes[fault.code] };
}
