import { checkCommitments, type FaultyCommitment } from "../../core/commitment/check-commitments.ts";
import type { Evidence } from "../../core/commitment/evidence.ts";
import { type Calibration, thresholdFor } from "../../core/validation/calibration.ts";
import { isCheckable } from "../../core/validation/is-checkable.ts";
import { type Doubt, judgeCheck } from "../../core/validation/judge-check.ts";
import type { Finding } from "../../core/wire/node-frame.ts";
import type { CheckInput } from "../../core/wire/task-input.ts";
import type { Engine } from "../engine/engine.ts";
import { UnknownTokenError } from "../engine/unknown-token-error.ts";
import { ReceiptError } from "./receipt-error.ts";

/** One place of the answer: a token, or the end that follows the last. */
export interface ReplayedPlace extends Finding {
  tokenId: number | null;
  /** What the token adds to the text; empty while a character is half done, and for the end. */
  text: string;
  isPlausible: boolean;
}

export interface Replay {
  outcome: "plausible" | "implausible";
  /** What speaks against the answer; `prompt`: it was made for another prompt. */
  reasons: readonly (Doubt | "prompt")[];
  /** What is wrong with what the nodes stand by. */
  faults: readonly FaultyCommitment[];
  places: readonly ReplayedPlace[];
  meanMargin: number;
  /** The mean margin up to which an answer of so many places is plausible, and where that number comes from. */
  threshold: number;
  calibration: Calibration;
  /**
   * The least plausible place, where one is not what this machine has, and what it has there: a text, null for an end,
   * undefined where it cannot be told.
   */
  worst: { place: ReplayedPlace; instead: string | null | undefined } | undefined;
  promptTokens: number;
}

/** A model of this machine, and the text that each of some ids adds to an answer. */
export interface ReplayModel {
  engine: Engine;
  textsOf(tokenIds: readonly number[]): readonly string[];
}

/**
 * Reads a saved answer again on this machine, at every position, and judges it as the network's validators do. Throws
 * {@link ReceiptError} where that says nothing: `own_decoding`, `too_long`; and `UnsupportedTaskError` where this
 * engine cannot check such an answer.
 */
export async function replayAnswer(
  evidence: Evidence,
  { engine, textsOf }: ReplayModel,
  calibration: Calibration,
): Promise<Replay> {
  refuseOwnDecoding(evidence);
  const faults = await checkCommitments(evidence);
  const input = checkOf(evidence);
  const prompt = await engine.prepareChat(evidence.input);
  const prepared = await engine.prepareCheck(input);
  if (prompt.kind !== "prepared" || prepared.kind !== "prepared") throw tooLong(engine.contextTokens);
  const isOtherPrompt = evidence.promptIds !== null && !isSame(evidence.promptIds, prompt.promptIds);
  const report = await prepared.run({ signal: new AbortController().signal });
  const claims = {
    promptTokens: evidence.attempts.at(-1)?.promptTokens ?? 0,
    checkedPromptTokens: prepared.promptTokens,
    isCommitmentGood: faults.length === 0,
    answerTokens: evidence.tokenIds.length,
    positions: input.positions,
  };
  const verdict = judgeCheck(report, claims, calibration);
  if (verdict === undefined) throw new Error("the engine did not look at the places that it was asked for");
  const places = placesOf(evidence, { findings: report.findings, texts: textsOf(evidence.tokenIds), calibration });
  const worst = worstOf(places);
  const position = worst?.position ?? 0;
  const reasons = [...verdict.reasons, ...(isOtherPrompt ? (["prompt"] as const) : [])];
  return {
    outcome: reasons.length === 0 ? "plausible" : "implausible",
    reasons,
    faults,
    places,
    meanMargin: verdict.meanMargin,
    threshold: thresholdFor(calibration, places.length),
    calibration,
    worst: worst && { place: worst, instead: await insteadOf(evidence, { engine, textsOf, position }) },
    promptTokens: prepared.promptTokens,
  };
}

/** What a node's own sampler drew, nobody can draw again: the likeliest tokens alone are the same for all. */
function refuseOwnDecoding({ attempts, input }: Evidence): void {
  const own = attempts.find(({ decoding }) => decoding === "own");
  if (own === undefined || isCheckable(input, "own")) return;
  const message =
    `${own.nodeId} serves with a sampler of its own, whose draws nobody can make again: of such nodes only answers at ` +
    "temperature 0, without penalties, a format and tools, can be checked.";
  throw new ReceiptError("own_decoding", message);
}

function tooLong(contextTokens: number): ReceiptError {
  const message = `Prompt and answer do not fit the ${contextTokens} tokens that are read here. Give more with --context.`;
  return new ReceiptError("too_long", message);
}

/** The check of all positions, and of the end where the model ended the answer. */
function checkOf({ input, tokenIds, text, finishReason, stopSequence }: Evidence): CheckInput {
  const isEndOfModel = finishReason === "stop" && stopSequence === null;
  return {
    kind: "check",
    of: input,
    tokenIds,
    text,
    finishReason,
    ...(stopSequence === null ? {} : { stopSequence }),
    positions: Array.from({ length: tokenIds.length + (isEndOfModel ? 1 : 0) }, (_, position) => position),
  };
}

function placesOf(
  { tokenIds }: Evidence,
  {
    findings,
    texts,
    calibration,
  }: { findings: readonly Finding[]; texts: readonly string[]; calibration: Calibration },
): ReplayedPlace[] {
  const single = thresholdFor(calibration, 1);
  return findings.map((finding) => {
    const { position, margin } = finding;
    const isEnd = position === tokenIds.length;
    return {
      ...finding,
      tokenId: tokenIds[position] ?? null,
      text: texts[position] ?? "",
      isPlausible: margin <= (isEnd ? calibration.endMargin : single),
    };
  });
}

/** The least plausible place; undefined where each is what this machine has. */
function worstOf(places: readonly ReplayedPlace[]): ReplayedPlace | undefined {
  let worst: ReplayedPlace | undefined;
  for (const place of places) if (place.margin > (worst?.margin ?? 0)) worst = place;
  return worst;
}

/** What this machine has at a position: the text of a token, null for an end, undefined where it cannot be told. */
async function insteadOf(
  { input, tokenIds }: Evidence,
  { engine, textsOf, position }: ReplayModel & { position: number },
): Promise<string | null | undefined> {
  const before = tokenIds.slice(0, position);
  try {
    const prepared = await engine.prepareChat(input, { continues: before });
    if (prepared.kind !== "prepared") return undefined;
    const controller = new AbortController();
    let chosen: number | undefined;
    const { finishReason } = await prepared.run({
      signal: controller.signal,
      onPiece: ({ tokenIds: [first] }) => {
        chosen ??= first;
        controller.abort();
      },
    });
    if (chosen !== undefined) return textsOf([...before, chosen]).at(-1);
    return finishReason === "stop" ? null : undefined;
  } catch (error) {
    // Ids that the model does not have are told by their margins; what would stand after them cannot be.
    if (error instanceof UnknownTokenError) return undefined;
    throw error;
  }
}

function isSame(left: readonly number[], right: readonly number[] | undefined): boolean {
  return right !== undefined && left.length === right.length && left.every((id, index) => id === right[index]);
}
