import { readFileSync } from "node:fs";
import { calibrationOf } from "../../core/validation/calibration.ts";
import { UnknownTokenError } from "../engine/unknown-token-error.ts";
import { UnsupportedTaskError } from "../engine/unsupported-task-error.ts";
import { explainFileError, ModelError } from "../models/model-error.ts";
import { findModel } from "../receipt/find-model.ts";
import { openReplayModel, type ReplayModelOptions } from "../receipt/open-replay-model.ts";
import { readEvidence } from "../receipt/read-evidence.ts";
import { ReceiptError } from "../receipt/receipt-error.ts";
import { type Replay, type ReplayModel, replayAnswer } from "../receipt/replay-answer.ts";
import { replayText } from "../receipt/replay-text.ts";

/** What a text is read with unless said otherwise, as by `start`. */
const usualContextTokens = 8_192;

export interface ReceiptReplayOptions extends Omit<ReplayModelOptions, "path" | "contextTokens"> {
  /** What `network: {evidence: true}` gave. */
  file: string;
  /** The model's file; one of the store where it is not given. */
  model: string | undefined;
  contextTokens: number | undefined;
  cacheDir: string;
  isJson: boolean;
  hasColours: boolean;
  out: (line: string) => void;
  openModel?: (options: ReplayModelOptions) => Promise<ReplayModel & { dispose(): Promise<void> }>;
}

/**
 * Reads a saved answer again on this machine and prints how plausible each token is. Exit code 0 where the answer is
 * plausible, 1 where it is not, 2 where it cannot be checked, with the reason.
 */
export async function receiptReplay({
  openModel = openReplayModel,
  ...options
}: ReceiptReplayOptions): Promise<0 | 1 | 2> {
  const { file, isJson, hasColours, out } = options;
  try {
    const evidence = readEvidence(readText(file));
    const { path, trainedContextTokens } = await findModel(evidence, {
      path: options.model,
      cacheDir: options.cacheDir,
    });
    const promptTokens = evidence.attempts.at(-1)?.promptTokens ?? 0;
    const neededTokens = promptTokens + evidence.tokenIds.length + 1;
    const wantedTokens = options.contextTokens ?? Math.max(usualContextTokens, neededTokens);
    const contextTokens = Math.min(trainedContextTokens, wantedTokens);
    const opened = await openModel({ ...options, path, contextTokens });
    let replay: Replay;
    try {
      const isOwn = evidence.attempts.some(({ decoding }) => decoding === "own");
      const calibration = calibrationOf(evidence.model.fileSha256, isOwn ? "own" : "verifiable");
      replay = await replayAnswer(evidence, opened, calibration);
    } finally {
      await opened.dispose();
    }
    out(isJson ? JSON.stringify({ taskId: evidence.taskId, ...replay }) : replayText(evidence, replay, { hasColours }));
    return replay.outcome === "plausible" ? 0 : 1;
  } catch (error) {
    const named = [ReceiptError, ModelError, UnsupportedTaskError, UnknownTokenError];
    if (!(error instanceof Error) || !named.some((kind) => error instanceof kind)) throw error;
    const reason = error instanceof ReceiptError || error instanceof ModelError ? error.code : "unsupported";
    if (isJson) out(JSON.stringify({ outcome: "unchecked", reason, message: error.message }));
    else out(`cannot be checked: ${error.message}`);
    return 2;
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    const explained = explainFileError(cause, file);
    if (!(explained instanceof ModelError)) throw explained;
    throw new ReceiptError("unreadable", explained.message, { cause });
  }
}
