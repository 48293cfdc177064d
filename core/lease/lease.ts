import { z } from "zod";
import { accountIdSchema, attemptIdSchema, keyIdSchema, modelHashSchema, nodeIdSchema, taskIdSchema } from "../ids.ts";
import { modelNameSchema } from "../model/model-card.ts";
import { attemptRecordSchema, type TaskRecord } from "../record/entry.ts";
import { type Attempt, attemptRecord, newAttempt } from "../task/attempt.ts";
import { attemptStates } from "../task/attempt-moves.ts";
import type { CommitFrame, DeltaItem, HeldAttempt } from "../wire/node-frame.ts";
import { taskKinds } from "../wire/task-input.ts";
import type { ReaderWish } from "./lease-effect.ts";

/** What a lease is about. It holds no prompt: that goes to the node and nowhere else. */
export const leaseTermsSchema = z.strictObject({
  taskId: taskIdSchema,
  attemptId: attemptIdSchema,
  accountId: accountIdSchema,
  keyId: keyIdSchema,
  modelName: modelNameSchema,
  model: modelHashSchema,
  kind: z.enum(taskKinds),
  /** Texts to embed; 0 for a chat. */
  inputs: z.int().nonnegative(),
  /** Length of the vectors that the model makes; null for a chat. */
  dimensions: z.int().positive().nullable(),
  /** When the task was admitted, milliseconds since the epoch. */
  createdAtMs: z.int().nonnegative(),
  /** Attempts before this one, so that whoever records the task's end records all of it. */
  priorAttempts: z.array(attemptRecordSchema).max(64),
  /** Tokens of the answer that earlier attempts made and the caller has. */
  continuedTokens: z.int().nonnegative(),
  /** Most tokens that the whole answer may have; absent where its task sets no bound. */
  maxTokens: z.int().positive().optional(),
});
export type LeaseTerms = z.infer<typeof leaseTermsSchema>;

/** An open lease as storage keeps it, so that a reset of its object does not lose the task. */
export const keptLeaseSchema = z.strictObject({
  terms: leaseTermsSchema,
  nodeId: nodeIdSchema,
  state: z.enum(attemptStates),
  promptTokens: z.int().nonnegative(),
  assignedAtMs: z.int().nonnegative(),
  ackedAtMs: z.int().nonnegative().nullable(),
});
export type KeptLease = z.infer<typeof keptLeaseSchema>;

/**
 * One node's hold on one task, as its {@link LeaseBook} keeps it: counts, not content. Times are milliseconds since
 * the epoch.
 */
export interface Lease {
  readonly terms: LeaseTerms;
  attempt: Attempt;
  /** The piece that is due from the node; null after a reset, until the reader says what it has. */
  nextSeq: number | null;
  /** Tokens in the pieces before `nextSeq`. */
  completionTokens: number;
  /** Inputs whose vectors have not come. */
  readonly vectorsDue: Set<number>;
  /** True while the report of a check has not come. */
  isReportDue: boolean;
  finishReason: "stop" | "length" | null;
  heardAtMs: number;
  /** Since when its node has no socket. */
  socketLostAtMs: number | null;
  /** Since when nobody reads. */
  detachedAtMs: number | null;
  /** How the task ends when the node has said what it had: set once the caller is gone for good. */
  ending: { state: "cancelled" | "failed"; sinceMs: number } | null;
  /**
   * Acks that the node owes for requests to tell its pieces again; each telling begins with one. Until the last has
   * come, pieces and commits are of an earlier telling and are skipped.
   */
  acksDue: number;
  /** True where the attempt's end is on record already and only its pieces are told again. */
  isReplay: boolean;
  /** True once storage knows of it. */
  isKept: boolean;
  /** True for a lease that storage brought back: what was asked of its node before, nobody knows. */
  isRecovered: boolean;
  /** True once a reader is known; after a reset, once one has come back. */
  hadReader: boolean;
  /** True once its node has said that it makes no more of it, and so gives no signs of life for it. */
  isOverAtNode: boolean;
  /** What the node said that it holds, while no reader has come back for it. */
  held: HeldAttempt | null;
}

/** A lease whose task was just sent to the node. */
export function newLease(terms: LeaseTerms, nodeId: Attempt["nodeId"], nowMs: number): Lease {
  return {
    terms,
    attempt: newAttempt({ attemptId: terms.attemptId, nodeId }, nowMs),
    nextSeq: 0,
    completionTokens: 0,
    vectorsDue: new Set(Array.from({ length: terms.inputs }, (_, index) => index)),
    isReportDue: terms.kind === "check",
    finishReason: null,
    heardAtMs: nowMs,
    socketLostAtMs: null,
    detachedAtMs: null,
    ending: null,
    acksDue: 0,
    isReplay: false,
    isKept: false,
    isRecovered: false,
    hadReader: true,
    isOverAtNode: false,
    held: null,
  };
}

/**
 * A lease as its object finds it in storage after a reset: no reader, and pieces nobody knows of. `socketLostAtMs` is
 * null where the node's socket has outlived the object's memory.
 */
export function recoveredLease(
  kept: KeptLease,
  { nowMs, socketLostAtMs }: { nowMs: number; socketLostAtMs: number | null },
): Lease {
  const { terms, nodeId, state, promptTokens, assignedAtMs, ackedAtMs } = kept;
  const lease = newLease(terms, nodeId, assignedAtMs);
  lease.attempt = { ...lease.attempt, state, promptTokens, ackedAtMs };
  lease.nextSeq = null;
  lease.heardAtMs = nowMs;
  lease.socketLostAtMs = socketLostAtMs;
  lease.detachedAtMs = nowMs;
  lease.isKept = true;
  lease.isRecovered = true;
  lease.hadReader = false;
  return lease;
}

/** An attempt whose end is on record, open again so that its pieces are told again from wherever its reader wants. */
export function replayedLease(lease: Lease, { socketLostAtMs }: { socketLostAtMs: number | null }): Lease {
  const vectorsDue = new Set<number>();
  return {
    ...lease,
    nextSeq: null,
    vectorsDue,
    isReportDue: lease.terms.kind === "check",
    ending: null,
    acksDue: 0,
    socketLostAtMs,
    isReplay: true,
    isOverAtNode: true,
  };
}

/** Counts as a reader that comes back has it: the pieces before its `nextSeq`, and what is in them. */
export function seek(lease: Lease, { nextSeq, completionTokens, vectors }: Omit<ReaderWish, "attemptId">): void {
  lease.nextSeq = nextSeq;
  lease.completionTokens = completionTokens;
  lease.isReportDue = lease.terms.kind === "check" && nextSeq === 0;
  lease.vectorsDue.clear();
  for (let index = 0; index < lease.terms.inputs; index += 1) lease.vectorsDue.add(index);
  for (const index of vectors) lease.vectorsDue.delete(index);
}

/** True while somebody waits to hear that the node has the task: a lease that a reset left without a reader has none. */
export function isAwaited({ attempt, hadReader }: Lease): boolean {
  return attempt.ackedAtMs === null && hadReader;
}

/**
 * True where nobody came back for the lease, and its node was away and does not know. What the node had ended before
 * that, its reader has.
 */
export function isGivenUpUnasked({ ending, socketLostAtMs }: Lease): boolean {
  return ending?.state === "failed" && socketLostAtMs !== null && socketLostAtMs < ending.sinceMs;
}

/** What storage needs to bring a lease back. */
export function keptLease({ terms, attempt }: Lease): KeptLease {
  const { nodeId, state, promptTokens, assignedAtMs, ackedAtMs } = attempt;
  return { terms, nodeId, state, promptTokens, assignedAtMs, ackedAtMs };
}

/**
 * Counts a piece that is due. Returns what is wrong with it, or `undefined`. The caller has checked that its `seq` is
 * the one that is due.
 */
export function takePiece(lease: Lease, item: DeltaItem, nowMs: number): string | undefined {
  if (lease.attempt.state !== "acked" && !lease.isReplay) return `delta in state ${lease.attempt.state}`;
  for (const { index, float32 } of item.vectors ?? []) {
    if (!lease.vectorsDue.delete(index)) return `a vector for input ${index} came twice or was never asked for`;
    const numbers = base64Bytes(float32) / 4;
    if (numbers !== lease.terms.dimensions) {
      return `a vector of ${numbers} numbers where ${lease.terms.dimensions} were due`;
    }
  }
  if (item.report !== undefined && !lease.isReportDue) return "a report came twice or was never asked for";
  const { continuedTokens, maxTokens = Number.POSITIVE_INFINITY } = lease.terms;
  const completionTokens = lease.completionTokens + (item.tokenIds?.length ?? 0);
  if (continuedTokens + completionTokens > maxTokens) return `more than the ${maxTokens} tokens that were asked for`;
  if (item.report !== undefined) lease.isReportDue = false;
  lease.nextSeq = item.seq + 1;
  lease.completionTokens = completionTokens;
  // After a reset it is a later piece that comes first, and when the first token came nobody knows.
  if (item.seq === 0) lease.attempt = { ...lease.attempt, firstTokenAtMs: lease.attempt.firstTokenAtMs ?? nowMs };
  return undefined;
}

/** What is wrong with a commit, or `undefined`: its counts must be those of what was sent, and nothing may be missing. */
export function commitProblem(lease: Lease, { promptTokens, completionTokens }: CommitFrame): string | undefined {
  if (completionTokens !== lease.completionTokens) {
    return `commit of ${completionTokens} tokens after deltas of ${lease.completionTokens}`;
  }
  if (promptTokens !== lease.attempt.promptTokens) {
    return `commit of ${promptTokens} prompt tokens after an ack of ${lease.attempt.promptTokens}`;
  }
  // A caller who is gone misses none.
  if (lease.ending !== null) return undefined;
  if (lease.isReportDue) return "commit of a check without its report";
  if (lease.vectorsDue.size === 0) return undefined;
  return `commit with ${lease.vectorsDue.size} vectors missing`;
}

/**
 * The task as this lease leaves it: ended where the answer is whole or the caller gone, else open for another attempt.
 * Without a reader it counts as ended, since none may come to end it; one that does come tells of its end itself.
 */
export function leaseRecord(lease: Lease, nowMs: number): TaskRecord {
  const { terms, attempt } = lease;
  const unread = lease.hadReader ? "cancelled" : "failed";
  const unfinished = lease.detachedAtMs === null ? "queued" : unread;
  const state = attempt.state === "committed" ? "completed" : (lease.ending?.state ?? unfinished);
  // A failed task is never billed; what its node did stands in the attempt.
  const isBilled = state === "completed" || state === "cancelled";
  return {
    kind: "task",
    taskId: terms.taskId,
    accountId: terms.accountId,
    keyId: terms.keyId,
    modelName: terms.modelName,
    modelSha256: terms.model,
    task: terms.kind,
    state,
    finishReason: lease.finishReason,
    errorCode: state === "failed" ? "stream_broken" : null,
    promptTokens: isBilled ? attempt.promptTokens : 0,
    completionTokens: isBilled ? terms.continuedTokens + attempt.completionTokens : 0,
    createdAtMs: terms.createdAtMs,
    endedAtMs: nowMs,
    attempts: [...terms.priorAttempts, attemptRecord(attempt, nowMs)],
  };
}

/** Length of what padded base64 stands for, in bytes (RFC 4648 §4). */
function base64Bytes(text: string): number {
  return (text.length / 4) * 3 - (text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0);
}
