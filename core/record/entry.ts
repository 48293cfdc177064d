import { z } from "zod";
import {
  accountIdSchema,
  attemptIdSchema,
  inviteIdSchema,
  keyIdSchema,
  modelHashSchema,
  nodeIdSchema,
  taskIdSchema,
} from "../ids.ts";
import { modelCardSchema, modelNameSchema } from "../model/model-card.ts";
import { attemptStates } from "../task/attempt-moves.ts";
import { taskStates } from "../task/task-moves.ts";
import { taskKinds } from "../wire/task-input.ts";

/** Milliseconds since the epoch. */
const timeMs = z.int().nonnegative();

/** One attempt of a task as it ended. Counts are of tokens; zero where nothing came. */
export const attemptRecordSchema = z.strictObject({
  attemptId: attemptIdSchema,
  nodeId: nodeIdSchema,
  state: z.enum(attemptStates),
  /** Why it ended as it did, in the words of the refusal list or the node; null where it committed. */
  reason: z.string().max(200).nullable(),
  promptTokens: z.int().nonnegative(),
  completionTokens: z.int().nonnegative(),
  assignedAtMs: timeMs,
  ackedAtMs: timeMs.nullable(),
  firstTokenAtMs: timeMs.nullable(),
  endedAtMs: timeMs,
});
export type AttemptRecord = z.infer<typeof attemptRecordSchema>;

/** One task as it ended, with all attempts its writer knows of. */
export const taskRecordSchema = z.strictObject({
  kind: z.literal("task"),
  taskId: taskIdSchema,
  accountId: accountIdSchema,
  keyId: keyIdSchema,
  modelName: modelNameSchema,
  modelSha256: modelHashSchema,
  task: z.enum(taskKinds),
  state: z.enum(taskStates),
  finishReason: z.enum(["stop", "length"]).nullable(),
  /** The refusal's code where the task failed or expired. */
  errorCode: z.string().max(64).nullable(),
  promptTokens: z.int().nonnegative(),
  completionTokens: z.int().nonnegative(),
  createdAtMs: timeMs,
  endedAtMs: timeMs,
  attempts: z.array(attemptRecordSchema).max(64),
});
export type TaskRecord = z.infer<typeof taskRecordSchema>;

/** How a check of an answer ended, or that it did not come to one. */
export const verdictOutcomes = ["valid", "invalid", "undecided", "unchecked"] as const;

/** A case about one answer, as it stands. An answer that is invalid is never billed. */
export const verdictRecordSchema = z.strictObject({
  kind: z.literal("verdict"),
  taskId: taskIdSchema,
  /** Whose answer it is, or the part of it that is in question, and that node's operator. */
  nodeId: nodeIdSchema,
  operator: accountIdSchema,
  modelName: modelNameSchema,
  modelSha256: modelHashSchema,
  outcome: z.enum(verdictOutcomes),
  /** Mean clipped margin of the last check that counts, in logits (docs/SAMPLING.md); null where there was none. */
  meanMargin: z.number().nonnegative().nullable(),
  positions: z.int().nonnegative(),
  reasons: z.array(z.string().max(64)).max(16),
  /** Nodes that checked it, in order. */
  validators: z.array(nodeIdSchema).max(16),
  /** Counts the case's verdicts: an appeal brings another, and the latest counts. */
  revision: z.int().nonnegative(),
  atMs: timeMs,
});
export type VerdictRecord = z.infer<typeof verdictRecordSchema>;

/**
 * What objects write to their outbox and Postgres keeps. Each entry may arrive twice and counts once: it is keyed by
 * the id of the thing it tells of.
 */
export const recordEntrySchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("account"),
    accountId: accountIdSchema,
    name: z.string().max(200),
    createdAtMs: timeMs,
  }),
  z.strictObject({
    kind: z.literal("key"),
    keyId: keyIdSchema,
    accountId: accountIdSchema,
    name: z.string().max(200),
    /** Last four characters, so that an owner can tell keys apart. */
    hint: z.string().max(16),
    createdAtMs: timeMs,
    revokedAtMs: timeMs.nullable(),
  }),
  z.strictObject({
    kind: z.literal("invite"),
    inviteId: inviteIdSchema,
    accountId: accountIdSchema,
    name: z.string().max(200),
    hint: z.string().max(16),
    /** How many nodes it may bring in, and how many it has. */
    maxNodes: z.int().positive(),
    usedNodes: z.int().nonnegative(),
    createdAtMs: timeMs,
    expiresAtMs: timeMs.nullable(),
    revokedAtMs: timeMs.nullable(),
  }),
  z.strictObject({
    kind: z.literal("node"),
    nodeId: nodeIdSchema,
    /** The operator. */
    accountId: accountIdSchema,
    name: z.string().max(200),
    publicKey: z.string().max(64),
    software: z.string().max(100),
    models: z.array(modelCardSchema).max(64),
    registeredAtMs: timeMs,
    /** The latest of these wins when entries arrive out of order. */
    seenAtMs: timeMs,
  }),
  taskRecordSchema,
  verdictRecordSchema,
  z.strictObject({
    kind: z.literal("suspension"),
    nodeId: nodeIdSchema,
    /** Null where it was taken back. */
    suspendedAtMs: timeMs.nullable(),
    reason: z.string().max(500).nullable(),
    /** The latest of these wins. */
    toldAtMs: timeMs,
  }),
]);
export type RecordEntry = z.infer<typeof recordEntrySchema>;
