import { askAgain } from "../ask-again.ts";
import type { Env } from "../env.ts";
import { objectStub } from "../object-stub.ts";
import { secretNumber } from "./secret-dice.ts";
import type { Auditing } from "./trusted-run.ts";

/** The deployment's own objects that have answers checked: one for each answer. */
export function auditingOf(env: Env): Auditing {
  return {
    draw: (text) => secretNumber(env, text),
    open: (order) => askAgain(() => objectStub(env.AUDIT, order.taskId).open(order)),
    judge: (order) => askAgain(() => objectStub(env.AUDIT, order.taskId).judge(order)),
  };
}
