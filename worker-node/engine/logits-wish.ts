import type { Token } from "node-llama-cpp";
import { candidateTokens, choosableTokens } from "../../core/decoding/ranked-candidates.ts";
import type { Sampling } from "../../core/wire/task-input.ts";
import type { AnswerPlace } from "./answer-place.ts";

/** Which logits are asked for at one place. */
export interface LogitsWish {
  /** So many of the likeliest. */
  top: number;
  /** These beside them. */
  tokens: readonly Token[];
  /** Whether those are all that may come. */
  isAll: boolean;
  /** Whether the sum over the whole vocabulary is needed too. */
  wantsTotal: boolean;
}

/** Whether llama.cpp's own top-k can answer it, which need not look at the whole vocabulary twice. */
export const isOfLikeliest = ({ tokens, wantsTotal }: LogitsWish): boolean => tokens.length === 0 && !wantsTotal;

/** What came of it. */
export interface Logits {
  /** Up to a number that is the same for all of them. */
  byToken: ReadonlyMap<number, number>;
  /** Logit of the last of the likeliest: no other token has more. −∞ where no other token matters. */
  leastRead: number;
  /** The logarithm of the sum of all exponentials, where it was asked for. */
  logTotal: number | undefined;
}

/** Each time that the likeliest were too few, more are asked for. */
export type Reach = "likeliest" | "more" | "all";
export const widerReach = { likeliest: "more", more: "all", all: undefined } as const;

/** Beyond those needed: a tie at the border would have to be looked at again. */
const spareTokens = 8;
/** A grammar that allows so few tokens has them named; finding each in the vocabulary takes time for every one. */
const fewTokens = 64;
/** More of the likeliest at once where a grammar or penalties take some away; llama.cpp's partial sort ends at 128. */
const takenTokens = 56;
const moreTokens = 2_048;

/**
 * What must be read to choose at `place`. Tokens that a bias or a penalty lifts may be anywhere and are named; those
 * that one sinks, and those that the grammar shuts out, make room for as many of the likeliest after them.
 */
export function wishAt(
  place: AnswerPlace,
  {
    sampling,
    reach,
    tokens,
    atLeast = 0,
  }: { sampling: Sampling; reach: Reach; tokens: readonly Token[]; atLeast?: number },
): LogitsWish {
  const { logprobs, logitBias = [], frequencyPenalty, presencePenalty } = sampling;
  const wantsTotal = logprobs !== undefined;
  const told = wantsTotal ? Math.max(1, logprobs.top) : 0;
  const named = (ids: Iterable<number>) => [...ids].flatMap((id) => tokens[id] ?? []);
  const allowed = place.allowedIds(fewTokens);
  if (allowed !== undefined) return { top: told, tokens: named(allowed), isAll: true, wantsTotal };
  const lifted = new Set(logitBias.flatMap(([id, bias]) => (bias > 0 ? [id] : [])));
  if (frequencyPenalty < 0 || presencePenalty < 0) for (const id of place.counts.keys()) lifted.add(id);
  const hasSunk = (frequencyPenalty > 0 || presencePenalty > 0) && place.counts.size > 0;
  const isTaken = place.hasGrammar || hasSunk || logitBias.length > 0;
  const needed = Math.max(atLeast, choosableTokens(sampling)) + (isTaken ? takenTokens : spareTokens);
  const top = Math.max(told, { likeliest: needed, more: moreTokens, all: tokens.length }[reach]);
  if (top >= tokens.length) return { top: tokens.length, tokens: [], isAll: true, wantsTotal };
  return { top, tokens: named(lifted), isAll: false, wantsTotal };
}

/** Read by a check: somewhat beyond the likeliest, so that a token just outside of them is measured. */
export const checkedTokens = candidateTokens + candidateTokens / 2;
