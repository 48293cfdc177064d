/** What looks wrong in an answer without any model at hand. It leads to a check, never to a penalty. */
export type Suspicion =
  | "too_many_tokens"
  | "empty_answer"
  | "wrong_finish_reason"
  | "text_without_tokens"
  | "impossible_speed"
  | "repetition_loop";

export interface AnswerAtSight {
  /** Of the whole answer, in order. */
  tokenIds: readonly number[];
  text: string;
  finishReason: "stop" | "length";
  /** The stop sequence that ended it, as the node says. */
  stopSequence?: string;
  maxTokens: number | null;
  promptTokens: number;
  contextTokens: number;
  /** From the node's ack to its commit. */
  totalMs: number;
  /** What no hardware of that kind reaches with this model, one stream. */
  fastestTokensPerSecond: number;
}

/** A vocabulary's longest tokens are runs of white space or of signs; none known is longer. */
const mostCharactersPerToken = 256;
/** Answers shorter than this say nothing of speed: they may come in one piece. */
const tokensThatTellSpeed = 16;
const longestPeriod = 64;
const tokensOfLoop = 96;
const roundsOfLoop = 4;

/**
 * What is suspicious in an answer, none twice, in the order of {@link Suspicion}; empty where nothing is. Each may
 * happen honestly (a small model does repeat itself), so a suspicion has the answer checked and counts for nothing else.
 */
export function cheapChecks(answer: AnswerAtSight): Suspicion[] {
  const { tokenIds, text, promptTokens, contextTokens, totalMs, fastestTokensPerSecond } = answer;
  const count = tokenIds.length;
  const most = mostTokens(answer);
  const found: [Suspicion, boolean][] = [
    ["too_many_tokens", count > most || promptTokens + count > contextTokens],
    ["empty_answer", count === 0 && text === ""],
    ["wrong_finish_reason", isEndWrong(answer, most)],
    ["text_without_tokens", text.length > count * mostCharactersPerToken],
    ["impossible_speed", count >= tokensThatTellSpeed && count * 1_000 > fastestTokensPerSecond * totalMs],
    ["repetition_loop", endsInLoop(tokenIds)],
  ];
  return found.filter(([, isSo]) => isSo).map(([suspicion]) => suspicion);
}

function mostTokens({ maxTokens, promptTokens, contextTokens }: AnswerAtSight): number {
  return Math.min(maxTokens ?? contextTokens, contextTokens - promptTokens);
}

function isEndWrong({ tokenIds, text, finishReason, stopSequence }: AnswerAtSight, most: number): boolean {
  if (finishReason === "length") return tokenIds.length < most || stopSequence !== undefined;
  return stopSequence !== undefined && text.includes(stopSequence);
}

/** True where the last tokens are one piece of at most 64 over and over, four times and 96 tokens at least. */
function endsInLoop(tokenIds: readonly number[]): boolean {
  for (let period = 1; period <= longestPeriod; period += 1) {
    const wanted = Math.max(tokensOfLoop, roundsOfLoop * period);
    if (wanted > tokenIds.length) continue;
    let at = tokenIds.length - 1;
    const end = tokenIds.length - wanted + period;
    while (at >= end && tokenIds[at] === tokenIds[at - period]) at -= 1;
    if (at < end) return true;
  }
  return false;
}
