import type { Logprob } from "../../core/wire/node-frame.ts";
import type { ServedModel } from "../objects/status-object.ts";
import type { Answering } from "../trust/trusted-run.ts";

/** What every answer of OpenAI's older APIs begins with. Choices of one request have one head: the first's. */
export function headOf(
  run: Answering,
  { model, object, prefix }: { model: ServedModel; object: string; prefix: string },
) {
  return {
    id: run.taskId.replace("task_", `${prefix}-`),
    object,
    created: Math.floor(run.createdAtMs / 1_000),
    model: model.id,
    // The same file gives the same answers to the same seed, so its hash is the fingerprint.
    system_fingerprint: `fp_${model.card.fileSha256.slice(0, 12)}`,
  };
}

interface Counts {
  promptTokens: number;
  completionTokens: number;
}

/** Tokens of all choices together: each is a task that read the prompt, and is on record with it. */
export function usageOf(counts: readonly Counts[]) {
  const promptTokens = counts.reduce((sum, each) => sum + each.promptTokens, 0);
  const completionTokens = counts.reduce((sum, each) => sum + each.completionTokens, 0);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}

/** The extension object: the task, its nodes and how far it is to be trusted; where a request has several choices, each choice's. */
export function networkOf(runs: readonly Answering[]): object {
  const tasks = runs.map((run) => run.network);
  return tasks.length === 1 ? { ...tasks[0] } : { tasks };
}

const decoder = new TextDecoder();

/** A token as OpenAI's clients read it; one that is a part of a character shows as U+FFFD and is whole in `bytes`. */
export function tokenLogprob({ bytes: base64, logprob }: Pick<Logprob, "bytes" | "logprob">) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return { token: decoder.decode(bytes), logprob, bytes: [...bytes] };
}
