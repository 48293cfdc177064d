import type { CheckReport } from "../../core/wire/node-frame.ts";
import type { CheckInput } from "../../core/wire/task-input.ts";
import { AnswerProgress } from "./answer-progress.ts";
import type { Vocabulary } from "./vocabulary.ts";

/**
 * Whether a claimed answer's ids spell its text, and whether an answer of these ids ends where it is said to: at the
 * stop sequence that is named and not before, at `maxTokens` or the context's end by length, and without a token among
 * them that ends answers. That the model really ended it is not judged here: the margin at its end tells.
 *
 * `roomTokens` is what the answering node's context leaves after the prompt.
 */
export function judgeEnding(
  { of: { sampling }, tokenIds, text: claimedText, finishReason, stopSequence }: CheckInput,
  { vocabulary, endIds, roomTokens }: { vocabulary: Vocabulary; endIds: ReadonlySet<number>; roomTokens: number },
): Pick<CheckReport, "isTextOfTokens" | "isEndRight"> {
  const { stop, maxTokens } = sampling;
  const progress = new AnswerProgress<number>({ vocabulary, stop, maxTokens, roomTokens, continues: [] });
  let text = "";
  for (const tokenId of tokenIds) {
    if (progress.ended !== undefined) return { isTextOfTokens: false, isEndRight: false };
    text += progress.push(tokenId).text;
  }
  const whole = text + progress.flush();
  // Of an answer that was cut off, what was held back may never have been sent.
  const isTextOfTokens = claimedText === whole || (finishReason === null && claimedText === text);
  const { ended } = progress;
  const isEnd = {
    length: ended === "length" && stopSequence === undefined,
    stop: stopSequence === undefined ? ended === undefined : ended === "stop" && progress.stopSequence === stopSequence,
    null: true,
  }[finishReason ?? "null"];
  return { isTextOfTokens, isEndRight: isEnd && !tokenIds.some((tokenId) => endIds.has(tokenId)) };
}
