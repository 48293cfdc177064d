import type { NodeOutput } from "./chaos-node.ts";
import { idsOf, type WireAttempt } from "./node-wire.ts";
import type { AccountRecord } from "./record-of.ts";
import type { Received } from "./stream-reader.ts";

/** What is known of one streamed answer from all sides. */
export interface Evidence {
  received: Received;
  /** Every go at it, as the wires carried them, in order. */
  attempts: readonly WireAttempt[];
  /** Every line of the nodes' own logs. */
  outputs: readonly NodeOutput[];
  textOf: (ids: readonly number[]) => string;
  maxTokens: number;
}

const isPrefix = (short: readonly number[], long: readonly number[]) => short.every((id, at) => id === long[at]);

/**
 * Why a stream of `maxTokens` tokens is not intact, as sentences; empty where it is. Intact means: it ended well and
 * counts right; each node went on from token ids that the one before had really sent; and the text the client has is
 * that of these ids with those of the last node, all of which that node's own log has too.
 */
export function answerProblems({ received, attempts, outputs, textOf, maxTokens }: Evidence): string[] {
  const problems: string[] = [];
  const expect = (isSo: boolean, problem: () => string) => {
    if (!isSo) problems.push(problem());
  };
  expect(received.error === undefined, () => `the stream broke: ${String(received.error)}`);
  expect(received.finishReason === "length", () => `it finished with ${received.finishReason}`);
  expect(received.usage?.completionTokens === maxTokens, () => `it counts ${received.usage?.completionTokens} tokens`);

  let delivered: number[] = [];
  for (const [number, attempt] of attempts.entries()) {
    expect(
      isPrefix(attempt.continues, delivered),
      () => `attempt ${number} goes on from ids that nobody had sent: ${attempt.continues.length} of them`,
    );
    delivered = [...attempt.continues, ...idsOf(attempt)];
  }
  const last = attempts.at(-1);
  if (last === undefined) return [...problems, "no node was handed the task"];
  expect(delivered.length === maxTokens, () => `the nodes made ${delivered.length} tokens`);
  const text = textOf(delivered);
  expect(received.text === text, () => `the text differs ${whereTextsDiffer(received.text, text)}`);

  const logged = outputs.filter((output) => output.attemptId === last.attemptId);
  const [line] = logged;
  expect(logged.length === 1, () => `the last node has ${logged.length} lines of it in its log`);
  if (line !== undefined) {
    const ids = idsOf(last);
    expect(
      line.outcome === "length" && line.tokenIds.length === ids.length && isPrefix(line.tokenIds, ids),
      () => `the last node logged ${line.tokenIds.length} ids (${line.outcome}) and sent ${ids.length}`,
    );
  }
  return problems;
}

/**
 * Why the record of a task that ended well is not right, as sentences; empty where it is: one row of the task with the
 * counts the client was told, one row of usage with the same, one committed attempt, and no other that goes on.
 */
export function recordProblems(record: AccountRecord, { received, attempts }: Evidence): string[] {
  const { taskId, usage: told } = received;
  const of = <Row extends { taskId: string }>(rows: readonly Row[]) => rows.filter((row) => row.taskId === taskId);
  const [task, ...otherTasks] = of(record.tasks);
  const [bill, ...otherBills] = of(record.usage);
  const goes = of(record.attempts);
  const committed = goes.filter((row) => row.state === "committed");
  const isAsTold = (row: { promptTokens: number; completionTokens: number } | undefined) =>
    row?.promptTokens === told?.promptTokens && row?.completionTokens === told?.completionTokens;
  const isLost = (state: string) => state === "lost" || state === "timed_out";
  return [
    task?.state === "completed" ? [] : [`the task is ${task?.state ?? "not there"} (${task?.errorCode})`],
    otherTasks.length === 0 ? [] : ["the task is there twice"],
    isAsTold(task) ? [] : [`the task counts ${task?.promptTokens} and ${task?.completionTokens} tokens`],
    bill !== undefined && otherBills.length === 0 ? [] : [`it is billed ${otherBills.length + (bill ? 1 : 0)} times`],
    isAsTold(bill) ? [] : [`the bill counts ${bill?.promptTokens} and ${bill?.completionTokens} tokens`],
    committed.length === 1 && committed[0]?.attemptId === attempts.at(-1)?.attemptId
      ? []
      : [`${committed.length} attempts are committed, and the last node's must be the one`],
    goes.every((row) => row.state === "committed" || isLost(row.state))
      ? []
      : [`its attempts are ${goes.map((row) => row.state).join(", ")}`],
  ].flat();
}

function whereTextsDiffer(one: string, other: string): string {
  let at = 0;
  while (at < Math.min(one.length, other.length) && one[at] === other[at]) at += 1;
  const around = (text: string) => JSON.stringify(text.slice(Math.max(0, at - 20), at + 40));
  return `at ${at} of ${other.length} characters: ${around(one)} against ${around(other)}`;
}
