import type { TaskFault } from "../core/lease/lease-effect.ts";
import { limits } from "../core/limits.ts";
import { Refusal, type RefusalCode } from "../core/refusal.ts";
import type { TaskInput } from "../core/wire/task-input.ts";
import type { ServedModel } from "./objects/status-object.ts";

/** Where each kind of task has its prompt. */
const promptParams = { chat: "messages", completion: "prompt", embedding: "input", check: "input" } as const;

/** The refusal of an admitted task, with what to do about it. `fault` is the node's reason, where the task was at fault. */
export function taskRefusal(
  code: RefusalCode,
  { model, input, fault }: { model: ServedModel; input: TaskInput; fault: TaskFault | undefined },
): Refusal {
  if (fault?.code === "context_length_exceeded") {
    const what = input.kind === "embedding" ? `Input ${fault.inputIndex}` : "This prompt";
    return new Refusal({
      code,
      param: promptParams[input.kind],
      message: `${what} has ${fault.promptTokens} tokens and ${model.id} reads ${fault.contextTokens}. Shorten it, or choose a model with a longer context.`,
    });
  }
  if (fault?.code === "unsupported") {
    const { message, param } = fault;
    return new Refusal({
      code,
      message: `${model.id} cannot do this: ${message}`,
      ...(param === undefined ? {} : { param }),
    });
  }
  return new Refusal({ code, message: placementProblems(model.id)[code] ?? `The task ended with ${code}.` });
}

function placementProblems(model: string): Partial<Record<RefusalCode, string>> {
  return {
    no_live_node: `No node that serves ${model} is connected right now. Try again in a few seconds.`,
    no_free_node: `All nodes that serve ${model} were busy for ${limits.queueWaitMs / 1_000} s. Try again in a few seconds.`,
    no_validator: `No node of another operator is connected that could check an answer of ${model}, as the trust policy 'checked' needs. Nothing was run. Try again later, or ask for 'sampled'.`,
    queue_full: `Too many requests wait for ${model}. Try again in a few seconds.`,
    attempts_exhausted: `${limits.barrenAttempts} nodes in a row failed at this task. Try again in a few seconds.`,
    stream_broken:
      "The answer is not whole: its node is gone and no other could go on with it. Send the request again.",
  };
}
