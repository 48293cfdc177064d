import { z } from "zod";
import { type AccountId, accountIdSchema, type TaskId, taskIdSchema } from "../ids.ts";

const failureSchema = z.strictObject({
  taskId: taskIdSchema,
  atMs: z.number(),
  isGross: z.boolean(),
  confirmedBy: z.array(accountIdSchema).max(9),
  /** What it added to each of the two tests. */
  fast: z.number().nonnegative(),
  slow: z.number().nonnegative(),
  /** Trust that it cost: given back if it is overturned. */
  validLost: z.number().nonnegative(),
  tasksLost: z.number().nonnegative(),
});
export type Failure = z.infer<typeof failureSchema>;

/** A node's record as a validator. Counts decay with time. */
export const validatorRecordSchema = z.strictObject({
  /** Words that could be compared with the truth, or with those of others. */
  right: z.number().nonnegative(),
  wrong: z.number().nonnegative(),
  /** Of the sequential test, in nats. */
  evidence: z.number().nonnegative(),
  suspendedAtMs: z.number().nullable(),
});
export type ValidatorRecord = z.infer<typeof validatorRecordSchema>;

/** All that a node's object stores of what checks said of it. Plain JSON; times are milliseconds since the epoch. */
export const reputationSchema = z.strictObject({
  /** Up to when the counts are decayed. */
  atMs: z.number(),
  /** Checked answers that were valid, confirmed failures, and answers in all; decayed. */
  valid: z.number().nonnegative(),
  invalid: z.number().nonnegative(),
  tasks: z.number().nonnegative(),
  /** Checked answers in a row that must be valid until not every answer is checked any more. */
  owed: z.int().nonnegative(),
  owedFor: z.enum(["newness", "suspicion", "failure"]),
  /** Two sequential tests, in nats: one for a cheat who often cheats, one for a cheat who rarely does. */
  fast: z.number().nonnegative(),
  slow: z.number().nonnegative(),
  /** The last confirmed ones, oldest first. */
  failures: z.array(failureSchema).max(32),
  suspendedAtMs: z.number().nullable(),
  validator: validatorRecordSchema,
});
export type Reputation = z.infer<typeof reputationSchema>;

export interface NotedVerdict {
  taskId: TaskId;
  outcome: "valid" | "invalid";
  isGross: boolean;
  /** The probability with which this answer was chosen: the share, or 1 where it was checked for another reason. */
  chosenWith: number;
  /** Of an `invalid`: whose validators said so, and whether no third operator was to be had. */
  confirmedBy: readonly AccountId[];
  isShort: boolean;
}

export declare function newReputation(nowMs: number): Reputation;
/** A case was settled as valid or invalid. */
export declare function noteVerdict(reputation: Reputation, verdict: NotedVerdict, nowMs: number): Reputation;
/** Cheap checks, or anything else, gave rise to doubt. */
export declare function noteSuspicion(reputation: Reputation, nowMs: number): Reputation;
/** An appeal took a failure back. */
export declare function noteOverturned(reputation: Reputation, taskId: TaskId, nowMs: number): Reputation;
/** Its word as a validator was compared with what came out. */
export declare function noteValidation(
  reputation: Reputation,
  validation: { wasRight: boolean; isProbe: boolean },
  nowMs: number,
): Reputation;
/** What {@link noteValidation} counted does not stand any more. */
export declare function takeBackValidation(
  reputation: Reputation,
  validation: { wasRight: boolean; isProbe: boolean },
  nowMs: number,
): Reputation;
/** An admin lets a suspended node back in, as a new one. */
export declare function pardon(reputation: Reputation, nowMs: number): Reputation;
