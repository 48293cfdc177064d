import type { ModelHash } from "../../core/ids.ts";
import { calibrationOf, thresholdFor } from "../../core/validation/calibration.ts";
import { judgeCheck } from "../../core/validation/judge-check.ts";
import type { CompletionInput } from "../../core/wire/task-input.ts";
import type { Engine } from "../engine/engine.ts";

/** What an engine's own answer comes to when it checks it itself. */
export interface SelfCheck {
  outcome: "plausible" | "implausible";
  meanMargin: number;
  /** What it may be at most. */
  threshold: number;
}

/** Long enough to tell, short enough to wait for. */
const answerTokens = 32;

const asked: CompletionInput = {
  kind: "completion",
  prompt: "Once upon a time",
  sampling: {
    ...{ temperature: 1, topP: 1, frequencyPenalty: 0, presencePenalty: 0 },
    ...{ seed: 1, stop: [], maxTokens: answerTokens },
  },
};

/**
 * Makes a short answer and checks it as a validator would. An engine whose own answers are implausible to it (broken
 * memory, an overclocked GPU, a driver that computes something else at another batch size) is so to others too. Throws
 * what the engine throws, `UnsupportedTaskError` where it cannot check.
 */
export async function checkOneself(engine: Engine, model: ModelHash): Promise<SelfCheck> {
  const { signal } = new AbortController();
  const prepared = await engine.prepareChat(asked);
  if (prepared.kind !== "prepared") throw new Error("five words do not fit the context");
  const tokenIds: number[] = [];
  let text = "";
  const { finishReason } = await prepared.run({
    signal,
    onPiece: (piece) => {
      tokenIds.push(...piece.tokenIds);
      text += piece.text;
    },
  });
  const isEnded = finishReason === "stop";
  const positions = Array.from({ length: tokenIds.length + (isEnded ? 1 : 0) }, (_, position) => position);
  const claim = { tokenIds, text, finishReason: isEnded ? ("stop" as const) : ("length" as const), positions };
  const check = await engine.prepareCheck({ kind: "check", of: asked, ...claim });
  if (check.kind !== "prepared") throw new Error("a short answer does not fit the context");
  const calibration = calibrationOf(model);
  const { promptTokens } = prepared;
  const claims = {
    ...{ promptTokens, checkedPromptTokens: check.promptTokens, isCommitmentGood: true },
    ...{ answerTokens: tokenIds.length, positions },
  };
  const verdict = judgeCheck(await check.run({ signal }), claims, calibration);
  if (verdict === undefined) throw new Error("the engine did not look at the places that it was asked for");
  const { outcome, meanMargin } = verdict;
  return { outcome, meanMargin, threshold: thresholdFor(calibration, positions.length) };
}
