import { isAttemptOver } from "../../core/task/attempt.ts";
import { isTerminal } from "../../core/task/task-moves.ts";
import type { TaskRow } from "../../db/schema/tasks.ts";
import type { Client } from "./client.ts";
import { holds } from "./ground.ts";
import type { Postgres } from "./postgres.ts";
import { answerEnd, promptTokensOf, taskNumber, toyContextTokens } from "./toy-answer.ts";

/**
 * Compares the record with what the callers saw, once nothing is on its way any more: every task is there once, ended
 * as its caller was told, and billed for the tokens that its caller has. Throws a Violation where it is not so.
 */
export function checkRecord(postgres: Postgres, clients: readonly Client[]): void {
  for (const client of clients) checkTask(postgres, client);
  holds(postgres.tasks.size <= clients.length, "no task is recorded that nobody asked for", () => {
    return `${postgres.tasks.size} tasks of ${clients.length} requests`;
  });
  for (const { attemptId, state } of postgres.attempts.values()) {
    holds(isAttemptOver(state), "every attempt ends", () => `${attemptId} is ${state}`);
  }
}

function checkTask(postgres: Postgres, client: Client): void {
  const { taskId } = client.order;
  const { ending } = client;
  holds(ending !== undefined, "every client is answered or refused in bounded time", () => `${taskId} is open`);
  const row = postgres.tasks.get(taskId);
  if (row === undefined) {
    // A Worker that dies while its task waits has told nobody of it but the pool, and nothing was done for it.
    holds(ending.kind === "cutOff" && client.tokens === 0, "no task is lost", () => {
      return `${taskId} (${ending.kind}) is not on record`;
    });
    return;
  }
  holds(isTerminal(row.state), "no task is lost", () => `${taskId} (${ending.kind}) is on record as ${row.state}`);
  const usage = postgres.usageOf(taskId);
  switch (ending.kind) {
    case "answered":
      holds(row.state === "completed", "no task is lost", () => `${taskId} was answered and is ${row.state}`);
      holds(usage?.completionTokens === client.tokens, "usage is what was delivered", () => {
        return `${taskId} had ${client.tokens} tokens and is billed ${usage?.completionTokens}`;
      });
      holds(usage.promptTokens === ending.promptTokens, "usage is what was delivered", () => taskId);
      break;
    case "refused":
      holds(isUnbilled(row.state) || wasDoneInVain(postgres, taskId), "no task is recorded twice", () => {
        return `${taskId} was refused with ${ending.code} and is ${row.state}`;
      });
      break;
    case "left":
    case "cutOff":
      checkLeft(row, client, usage?.completionTokens);
  }
}

function isUnbilled(state: TaskRow["state"]): boolean {
  return state === "failed" || state === "expired";
}

/**
 * True where a node's object had put a whole answer on record that was then lost on its way, so that others were asked
 * for it, in vain: nobody but the Worker could know, and a completion on record stays.
 */
function wasDoneInVain(postgres: Postgres, taskId: TaskRow["taskId"]): boolean {
  const attempts = [...postgres.attempts.values()].filter((attempt) => attempt.taskId === taskId);
  const done = attempts.find(({ state }) => state === "committed");
  return done !== undefined && attempts.some(({ assignedAtMs }) => assignedAtMs > done.assignedAtMs);
}

/** Who went away pays for what was done until then, which is at least what came and at most the whole answer. */
function checkLeft(row: TaskRow, client: Client, billedTokens: number | undefined): void {
  if (billedTokens === undefined) return;
  const { taskId, input } = client.order;
  const number = taskNumber(taskId);
  const most = input.kind === "chat" ? answerEnd(number, input.sampling.maxTokens ?? toyContextTokens).tokens : 0;
  holds(billedTokens <= most, "usage is what was delivered", () => `${taskId} is billed ${billedTokens} of ${most}`);
  // Where the Worker died, the last that a node's object could tell of may be an earlier attempt.
  const least = client.ending?.kind === "left" ? client.tokens : 0;
  holds(billedTokens >= least, "usage is what was delivered", () => {
    return `${taskId} left with ${client.tokens} tokens and is billed ${billedTokens} as ${row.state}`;
  });
  const isCounted = row.promptTokens === 0 || row.promptTokens === promptTokensOf(number);
  holds(isCounted, "usage is what was delivered", () => `${taskId} has ${row.promptTokens} prompt tokens on record`);
}
