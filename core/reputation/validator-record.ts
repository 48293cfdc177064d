import type { TaskId } from "../ids.ts";
import { decayed } from "./decay.ts";
import type { ValidatorRecord } from "./reputation.ts";
import { weigh } from "./sequential-test.ts";

export interface ValidationMark {
  taskId: TaskId;
  wasRight: boolean;
  /** By an altered copy, of which the truth is known; else by what other validators said. */
  isProbe: boolean;
}

/**
 * The sequential test of a validator, in nats. An honest one is the odd one out in at most 3 of 100 of its words that
 * are compared (only doubtful answers are compared every time), and misses 1 probe in 1,000; one to be found is wrong in
 * 30 of 100. It is suspended at ln(1/0.001): two missed probes, or four odd words among a dozen.
 */
const test = {
  right: Math.log(0.7 / 0.97),
  odd: Math.log(0.3 / 0.03),
  missed: Math.log(0.3 / 0.001),
  threshold: Math.log(1 / 0.001),
} as const;
/** Words that were compared and right until a validator's good word needs no second. */
const rightUntilTrusted = 10;
/** Wrong words that are kept with their tasks. */
const mostWrongs = 32;

/** One of whom nothing is known. */
export const newValidatorRecord: ValidatorRecord = { right: 0, wrong: 0, evidence: 0, suspendedAtMs: null, wrongs: [] };

/** After one more word of it was compared with the truth. A wrong one that is told twice counts once. */
export function noteMark(record: ValidatorRecord, mark: ValidationMark, nowMs: number): ValidatorRecord {
  const { taskId, isProbe } = mark;
  if (!mark.wasRight && hasMark(record, mark)) return record;
  const evidence = weigh(record.evidence, weightOf(mark));
  return {
    // A wrong word costs half of the trust.
    right: mark.wasRight ? record.right + 1 : record.right / 2,
    wrong: mark.wasRight ? record.wrong : record.wrong + 1,
    evidence,
    suspendedAtMs: record.suspendedAtMs ?? (evidence >= test.threshold ? nowMs : null),
    wrongs: mark.wasRight ? record.wrongs : [...record.wrongs, { taskId, isProbe, atMs: nowMs }].slice(-mostWrongs),
  };
}

/**
 * After such a mark turned out not to be deserved: as far as it can be, it is as if it had never been. Nothing changes
 * where a wrong word is taken back that was never counted.
 */
export function takeBackMark(record: ValidatorRecord, mark: ValidationMark): ValidatorRecord {
  if (!mark.wasRight && !hasMark(record, mark)) return record;
  const evidence = weigh(record.evidence, -weightOf(mark));
  return {
    right: mark.wasRight ? Math.max(0, record.right - 1) : record.right * 2,
    wrong: mark.wasRight ? record.wrong : Math.max(0, record.wrong - 1),
    evidence,
    suspendedAtMs: evidence >= test.threshold ? record.suspendedAtMs : null,
    wrongs: record.wrongs.filter(({ taskId }) => taskId !== mark.taskId),
  };
}

/** With its counts faded by so much time. */
export function fadeRecord(record: ValidatorRecord, elapsedMs: number): ValidatorRecord {
  return { ...record, right: decayed(record.right, elapsedMs), wrong: decayed(record.wrong, elapsedMs) };
}

/** True where its good word needs no second. */
export function isTrusted({ right, suspendedAtMs }: ValidatorRecord): boolean {
  return suspendedAtMs === null && right >= rightUntilTrusted;
}

function hasMark({ wrongs }: ValidatorRecord, { taskId }: ValidationMark): boolean {
  return wrongs.some((wrong) => wrong.taskId === taskId);
}

function weightOf({ wasRight, isProbe }: ValidationMark): number {
  if (wasRight) return test.right;
  return isProbe ? test.missed : test.odd;
}
