import { createWriteStream, type WriteStream } from "node:fs";
import { join } from "node:path";
import type { CheckReport } from "../core/wire/node-frame.ts";
import type { FinishedTask } from "./task-runner.ts";

/**
 * One readable line of a task: model, tokens in and out, time to first token, speed, how it ended; of a check what it
 * came to, of one that was told to stop how long it took to.
 */
export function taskLine(task: FinishedTask, now: Date): string {
  const { frame, model, outcome, problem, promptTokens, tokenIds, firstTokenMs, stoppedAfterMs, totalMs } = task;
  const parts = [now.toTimeString().slice(0, 8), model, `in ${promptTokens}`];
  if (frame.continues !== undefined) parts.push(`goes on after ${frame.continues.length} tokens`);
  const { input } = frame;
  if (input.kind === "check") parts.push(checkWords(task.report), `${totalMs} ms`);
  else if (input.kind === "embedding") parts.push(`${input.texts.length} texts`, `${totalMs} ms`);
  else {
    parts.push(`out ${tokenIds.length} tokens`);
    if (firstTokenMs !== undefined) {
      parts.push(`first token ${firstTokenMs} ms`);
      // The first token belongs to the prompt's time; speed is that of the tokens after it.
      const decodeMs = totalMs - firstTokenMs;
      if (tokenIds.length > 1 && decodeMs > 0) {
        parts.push(`${(((tokenIds.length - 1) / decodeMs) * 1_000).toFixed(1)} tokens/s`);
      }
    }
  }
  if (stoppedAfterMs !== undefined) parts.push(`stopped after ${stoppedAfterMs} ms`);
  parts.push(problem === undefined ? outcome : `${outcome}: ${problem}`, frame.taskId);
  return parts.join("  ");
}

/** By how many logits the claimed tokens fell short on average: near 0 where the answer is the model's. */
function checkWords(report: CheckReport | undefined): string {
  if (report === undefined) return "not checked";
  const { findings } = report;
  if (findings.length === 0) return "checked";
  const mean = findings.reduce((sum, { margin }) => sum + margin, 0) / findings.length;
  return `checked ${findings.length} tokens  mean margin ${mean.toFixed(3)}`;
}

/**
 * `<home>/outputs.jsonl`: what each task put out, token for token, for an operator who must account for it. Off unless
 * asked for: token ids are the answer's text in another form.
 */
export class OutputLog {
  readonly #stream: WriteStream;

  constructor(homeDir: string) {
    this.#stream = createWriteStream(join(homeDir, "outputs.jsonl"), { flags: "a", mode: 0o600 });
  }

  write({ frame, model, outcome, promptTokens, tokenIds }: FinishedTask): void {
    const { taskId, attemptId } = frame;
    this.#stream.write(`${JSON.stringify({ taskId, attemptId, model, outcome, promptTokens, tokenIds })}\n`);
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#stream.end(resolve));
  }
}
