import type { AttemptId, NodeId } from "../ids.ts";

/** What the driver waits for. */
export type Phase =
  | { name: "new" }
  | { name: "claiming"; attemptId: AttemptId }
  /** Before the next claim. */
  | { name: "pausing" }
  | { name: "running"; attemptId: AttemptId; nodeId: NodeId; sentAtMs: number }
  | { name: "reading"; attemptId: AttemptId; nodeId: NodeId }
  /** Coming back for an attempt: the call is out, or a pause before it. */
  | { name: "returning"; attemptId: AttemptId; nodeId: NodeId; isCallOut: boolean }
  | { name: "over" };
