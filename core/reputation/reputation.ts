import { z } from "zod";
import { type AccountId, accountIdSchema, type TaskId, taskIdSchema } from "../ids.ts";
import { decayed } from "./decay.ts";
import { fastTest, slowTest, weigh } from "./sequential-test.ts";
import { fadeRecord, newValidatorRecord, noteMark, takeBackMark, type ValidationMark } from "./validator-record.ts";

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
  owedBefore: z.int().nonnegative(),
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
  /** The last wrong ones, oldest first: an operator may see them, and none counts twice. */
  wrongs: z.array(z.strictObject({ taskId: taskIdSchema, isProbe: z.boolean(), atMs: z.number() })).max(32),
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

/** Checked answers that must be valid: of a new node, after a suspicion, after a confirmed failure. */
const owedFor = { newness: 100, suspicion: 10, failure: 100 } as const;
/** What is left of a node's trust after a confirmed failure: it has to be earned again. */
const trustLeft = 0.25;
/** An older failure is forgotten. */
const failureKeptMs = 90 * 24 * 3_600_000;
const mostFailures = 32;
/**
 * Operators that must have a part in a suspension, and gross failures that it rests on, a slight one counting half: more
 * where the network has not as many operators.
 */
const operatorsToSuspend = 3;
const failuresToSuspend = 2;
const failuresOfFewToSuspend = 4;

/** A node of which nothing is known: every answer is checked until 100 were valid. */
export function newReputation(nowMs: number): Reputation {
  return {
    atMs: nowMs,
    valid: 0,
    invalid: 0,
    tasks: 0,
    owed: owedFor.newness,
    owedFor: "newness",
    fast: 0,
    slow: 0,
    failures: [],
    suspendedAtMs: null,
    validator: newValidatorRecord,
  };
}

/**
 * After a case was settled as valid or invalid. A failure has every answer checked again, costs three quarters of the
 * trust, and may suspend the node: never one alone, never on the words of fewer than three operators, or, where the
 * network has no third, only from the fourth failure on. The same failure told twice counts once.
 */
export function noteVerdict(reputation: Reputation, verdict: NotedVerdict, nowMs: number): Reputation {
  const faded = fade(reputation, nowMs);
  return verdict.outcome === "valid" ? noteValid(faded, verdict) : noteInvalid(faded, verdict, nowMs);
}

function noteValid(reputation: Reputation, { chosenWith }: NotedVerdict): Reputation {
  const { owed, fast, slow } = reputation;
  // One who was just found out knows that every answer is looked at: that it behaves now says little.
  const isWatched = owed > 0 && reputation.owedFor === "failure";
  return {
    ...reputation,
    valid: reputation.valid + 1,
    tasks: reputation.tasks + 1 / chosenWith,
    owed: Math.max(0, owed - 1),
    fast: weigh(fast, fastTest.valid),
    slow: isWatched ? slow : weigh(slow, slowTest.valid),
  };
}

function noteInvalid(reputation: Reputation, verdict: NotedVerdict, nowMs: number): Reputation {
  const { taskId, isGross, isShort, chosenWith } = verdict;
  if (reputation.failures.some((failure) => failure.taskId === taskId)) return reputation;
  const [part, kind] = [isShort ? 0.5 : 1, isGross ? ("gross" as const) : ("slight" as const)];
  const failure: Failure = {
    taskId,
    atMs: nowMs,
    isGross,
    confirmedBy: [...verdict.confirmedBy],
    fast: part * fastTest[kind],
    slow: part * slowTest[kind],
    validLost: reputation.valid * (1 - trustLeft),
    tasksLost: reputation.tasks * (1 - trustLeft),
    owedBefore: reputation.owed,
  };
  return suspendIfDue(
    {
      ...reputation,
      valid: reputation.valid * trustLeft,
      invalid: reputation.invalid + 1,
      tasks: reputation.tasks * trustLeft + 1 / chosenWith,
      owed: owedFor.failure,
      owedFor: "failure",
      fast: weigh(reputation.fast, failure.fast),
      slow: weigh(reputation.slow, failure.slow),
      failures: [...reputation.failures, failure].slice(-mostFailures),
    },
    nowMs,
  );
}

/** After cheap checks, or anything else, gave rise to doubt: the next ten answers are checked. It counts for nothing else. */
export function noteSuspicion(reputation: Reputation, nowMs: number): Reputation {
  const faded = fade(reputation, nowMs);
  if (faded.owed >= owedFor.suspicion) return faded;
  return { ...faded, owed: owedFor.suspicion, owedFor: "suspicion" };
}

/**
 * After an appeal took a failure back: trust and evidence are as if it had never been, and a suspension that does not
 * stand without it is lifted. Nothing changes where no such failure is known.
 */
export function noteOverturned(reputation: Reputation, taskId: TaskId, nowMs: number): Reputation {
  const faded = fade(reputation, nowMs);
  const failure = faded.failures.find((each) => each.taskId === taskId);
  if (failure === undefined) return faded;
  const failures = faded.failures.filter((each) => each !== failure);
  const elapsedMs = nowMs - failure.atMs;
  const isLast = failures.every(({ atMs }) => atMs < failure.atMs);
  const next = {
    ...faded,
    valid: faded.valid + decayed(failure.validLost, elapsedMs),
    invalid: Math.max(0, faded.invalid - decayed(1, elapsedMs)),
    tasks: faded.tasks + decayed(failure.tasksLost, elapsedMs),
    owed: isLast ? Math.min(faded.owed, failure.owedBefore) : faded.owed,
    fast: weigh(faded.fast, -failure.fast),
    slow: weigh(faded.slow, -failure.slow),
    failures,
  };
  return isSuspensionDue(next) ? next : { ...next, suspendedAtMs: null };
}

/** After its word as a validator was compared with what came out. */
export function noteValidation(reputation: Reputation, mark: ValidationMark, nowMs: number): Reputation {
  const faded = fade(reputation, nowMs);
  return { ...faded, validator: noteMark(faded.validator, mark, nowMs) };
}

/** After what {@link noteValidation} counted does not stand any more. */
export function takeBackValidation(reputation: Reputation, mark: ValidationMark, nowMs: number): Reputation {
  const faded = fade(reputation, nowMs);
  return { ...faded, validator: takeBackMark(faded.validator, mark) };
}

/** A suspended node that an admin lets back in: as a new one, of which it is still known that answers of it failed. */
export function pardon(reputation: Reputation, nowMs: number): Reputation {
  return { ...newReputation(nowMs), invalid: fade(reputation, nowMs).invalid };
}

/** With its counts faded up to now, and what is too old forgotten. */
export function fade(reputation: Reputation, nowMs: number): Reputation {
  const elapsedMs = nowMs - reputation.atMs;
  if (elapsedMs <= 0) return reputation;
  // What a suspension rests on is kept as long as it lasts.
  const isSuspended = reputation.suspendedAtMs !== null;
  return {
    ...reputation,
    atMs: nowMs,
    valid: decayed(reputation.valid, elapsedMs),
    invalid: decayed(reputation.invalid, elapsedMs),
    tasks: decayed(reputation.tasks, elapsedMs),
    failures: reputation.failures.filter(({ atMs }) => isSuspended || nowMs - atMs < failureKeptMs),
    validator: fadeRecord(reputation.validator, elapsedMs),
  };
}

function suspendIfDue(reputation: Reputation, nowMs: number): Reputation {
  if (reputation.suspendedAtMs !== null || !isSuspensionDue(reputation)) return reputation;
  return { ...reputation, suspendedAtMs: nowMs };
}

function isSuspensionDue({ fast, slow, failures }: Reputation): boolean {
  if (fast < fastTest.threshold && slow < slowTest.threshold) return false;
  const operators = new Set(failures.flatMap(({ confirmedBy }) => confirmedBy));
  const count = failures.reduce((sum, { isGross }) => sum + (isGross ? 1 : 0.5), 0);
  return count >= (operators.size >= operatorsToSuspend ? failuresToSuspend : failuresOfFewToSuspend);
}
