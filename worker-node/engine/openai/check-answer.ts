import { claimMargin, mostMargin } from "../../../core/decoding/claim-margin.ts";
import type { CheckReport, Finding } from "../../../core/wire/node-frame.ts";
import type { CheckInput } from "../../../core/wire/task-input.ts";
import type { Upstream } from "./upstream.ts";
import { UpstreamAnswer } from "./upstream-answer.ts";
import type { PromptReader } from "./upstream-reading.ts";

export interface CheckWork {
  upstream: Upstream;
  reader: PromptReader;
  prompt: readonly number[];
  /** Longest prompt plus answer. */
  contextTokens: number;
  /** So many of the likeliest tokens are read at each place. */
  top: number;
  signal: AbortSignal;
}

/**
 * Checks an answer by what an upstream says of a text's probabilities: log-probabilities are logits but for a constant,
 * and margins are differences. Without a bias, penalties and formats, which it does not know.
 */
export async function checkAnswer(input: CheckInput, work: CheckWork): Promise<CheckReport> {
  const findings = await findingsOf(input, work);
  return { findings, ...(await endingOf(input, work)) };
}

async function findingsOf(
  { of: { sampling }, tokenIds, positions }: CheckInput,
  { upstream, reader, prompt, top, signal }: CheckWork,
): Promise<Finding[]> {
  const unknownAt = tokenIds.findIndex((id) => id >= upstream.vocabularyTokens);
  const known = unknownAt < 0 ? tokenIds : tokenIds.slice(0, unknownAt);
  const [anEnd] = reader.endIds;
  const asksForEnd = unknownAt < 0 && positions.includes(tokenIds.length) && anEnd !== undefined;
  const read = asksForEnd ? [...known, anEnd] : known;
  const places = read.length === 0 ? [] : await reader.read({ before: prompt, tokenIds: read, top, signal });
  return positions.map((position) => {
    const candidates = places[position];
    // Nothing can be said of what follows an id that the model does not have.
    if (candidates === undefined) return { position, margin: mostMargin, rank: upstream.vocabularyTokens };
    const claimed = position === tokenIds.length ? [...reader.endIds] : tokenIds.slice(position, position + 1);
    return { position, ...claimMargin(claimed, candidates, sampling, { position, counts: new Map() }) };
  });
}

async function endingOf(
  { of: { sampling }, tokenIds, text, finishReason, stopSequence }: CheckInput,
  { upstream, prompt, contextTokens }: CheckWork,
): Promise<Omit<CheckReport, "findings">> {
  if (tokenIds.some((id) => id >= upstream.vocabularyTokens)) return { isTextOfTokens: false, isEndRight: false };
  const room = contextTokens - prompt.length;
  const answer = await UpstreamAnswer.after({
    continues: [],
    stop: sampling.stop,
    longestTokens: Math.min(sampling.maxTokens ?? room, room),
    detokenize: (ids) => upstream.detokenize(ids),
  });
  const before = tokenIds.slice(0, -1);
  let spelled = before.length === 0 ? "" : (await answer.push({ tokenIds: before, text: undefined })).text;
  if (answer.ended !== undefined) return { isTextOfTokens: isSameText(spelled, text), isEndRight: false };
  if (tokenIds.length > 0) spelled += (await answer.push({ tokenIds: tokenIds.slice(-1), text: undefined })).text;
  const { ended } = answer;
  const whole = ended === undefined ? spelled + answer.flush() : spelled;
  // What was cut off may lack what was held back.
  const isTextOfTokens = isSameText(whole, text) || (finishReason === null && isSameText(spelled, text));
  if (finishReason === null) return { isTextOfTokens, isEndRight: true };
  const isByModel = finishReason === "stop" && stopSequence === undefined;
  const isEndRight = isByModel ? ended === undefined : ended === finishReason && answer.stopSequence === stopSequence;
  return { isTextOfTokens, isEndRight };
}

/** Nodes may show one U+FFFD more or less for bytes that are no character. */
function isSameText(left: string, right: string): boolean {
  const plain = (text: string) => text.replace(/\ufffd+/g, "\ufffd");
  return plain(left) === plain(right);
}
