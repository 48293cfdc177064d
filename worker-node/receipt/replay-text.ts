import type { CommitmentFault } from "../../core/commitment/check-commitments.ts";
import type { Evidence } from "../../core/commitment/evidence.ts";
import type { Replay, ReplayedPlace } from "./replay-answer.ts";

/** Around a token that is not plausible, where there are no colours. */
const marks = { open: "⟦", close: "⟧" } as const;
/** White on red, and back. */
const colours = { open: "\u001b[97;41m", close: "\u001b[0m" } as const;

const faultWords: Record<CommitmentFault, string> = {
  node_id: "the key is not that node's",
  head: "the chain is not that of these tokens",
  signature: "the signature is not that node's over this answer",
  uncommitted: "no node stands by this answer",
  token_count: "the node stands by an answer of another length",
};

/** A replayed answer for people: its text, each implausible token marked, then what it comes to, a line each. */
export function replayText(evidence: Evidence, replay: Replay, { hasColours }: { hasColours: boolean }): string {
  const rows: [string, string][] = [
    ["answer", `${evidence.taskId} by ${evidence.attempts.map(({ nodeId }) => nodeId).join(", then ")}`],
    ["model", `${evidence.model.name} (${evidence.model.fileSha256.slice(0, 12)}…)`],
    ["positions", `${replay.places.length}, each of them read again`],
    ["mean margin", marginLine(replay)],
    ["worst", worstLine(replay)],
    ["prompt", promptLine(evidence, replay)],
    ["commitment", commitmentLine(replay)],
    ...(replay.reasons.includes("text") ? [["text", "the tokens spell another text than was given"] as const] : []),
    ...(replay.reasons.includes("end") ? [["end", endLine(evidence)] as const] : []),
    ...(replay.reasons.includes("end_margin") ? [["end", "the model would not have ended it here"] as const] : []),
    ["verdict", replay.outcome],
  ].map(([label = "", text = ""]): [string, string] => [label, text]);
  const table = rows.map(([label, text]) => `${label.padEnd(13)}${text}`).join("\n");
  return `${markedText(replay.places, hasColours ? colours : marks)}\n\n${table}`;
}

/** Tokens that share a character are marked together. */
function markedText(places: readonly ReplayedPlace[], { open, close }: { open: string; close: string }): string {
  let shown = "";
  let isDoubtful = false;
  for (const { tokenId, text, isPlausible } of places) {
    isDoubtful ||= !isPlausible;
    if (tokenId === null) {
      if (isDoubtful) shown += `${open}(the end)${close}`;
    } else if (text !== "") {
      shown += isDoubtful ? `${open}${text}${close}` : text;
      isDoubtful = false;
    }
  }
  return shown;
}

function marginLine({ meanMargin, threshold, calibration, places }: Replay): string {
  const { isMeasured, trials, honestMaximum, measuredOn, backend } = calibration;
  const source = isMeasured
    ? `from ${trials} honest answers measured on ${measuredOn} with ${backend}, of which the worst had ${honestMaximum.toFixed(3)}`
    : "a cautious default: nobody has measured this model yet";
  const marked = places.filter(({ isPlausible }) => !isPlausible).length;
  return `${meanMargin.toFixed(4)} logits, at most ${threshold} is plausible (${source}); implausible by themselves: ${marked}`;
}

function worstLine({ worst }: Replay): string {
  if (worst === undefined) return "none: each token is the one that this machine chooses";
  const { place, instead } = worst;
  const { position, rank, margin, tokenId, text } = place;
  const claimed = tokenId === null ? "the end" : JSON.stringify(text);
  const chosen = instead === null ? "the end" : JSON.stringify(instead);
  const beside = instead === undefined ? "" : ` where this machine has ${chosen}`;
  return `position ${position}, rank ${rank}, margin ${margin.toFixed(3)}: ${claimed}${beside}`;
}

function promptLine({ promptIds }: Evidence, { reasons, promptTokens }: Replay): string {
  if (reasons.includes("prompt")) return "the node read another prompt than this machine renders";
  if (reasons.includes("prompt_tokens"))
    return `this machine counts ${promptTokens} tokens, and the node another number`;
  const how = promptIds === null ? "by their number; the node did not tell their ids" : "id for id";
  return `${promptTokens} tokens, the same here (${how})`;
}

function commitmentLine({ faults }: Replay): string {
  if (faults.length === 0) return "good: the node that ended the answer has signed these tokens";
  return faults.map(({ nodeId, fault }) => `${faultWords[fault]} (${nodeId})`).join("; ");
}

function endLine({ finishReason, tokenIds, input, stopSequence }: Evidence): string {
  if (finishReason === "stop") {
    return stopSequence === null
      ? "something else ends an answer of these tokens, or ends it earlier"
      : "this stop sequence does not end it here";
  }
  const most = input.sampling.maxTokens === null ? "no bound" : `a bound of ${input.sampling.maxTokens}`;
  return (
    `cut off after ${tokenIds.length} tokens, with ${most} given. ` +
    "If the node's context is shorter than what is read here, give it with --context."
  );
}
