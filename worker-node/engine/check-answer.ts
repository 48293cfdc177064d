import type { Token } from "node-llama-cpp";
import { areCandidatesEnough } from "../../core/decoding/are-candidates-enough.ts";
import { claimMargin, type Margin, mostMargin } from "../../core/decoding/claim-margin.ts";
import { candidateTokens } from "../../core/decoding/ranked-candidates.ts";
import type { Finding } from "../../core/wire/node-frame.ts";
import type { CheckInput, Sampling } from "../../core/wire/task-input.ts";
import type { Claim, Claims } from "./claims.ts";
import { checkedTokens, type Logits, type Reach, widerReach, wishAt } from "./logits-wish.ts";
import type { SequenceSlot } from "./sequence-slot.ts";

/** Of a token that no node can have chosen. */
const impossible: Margin = { margin: mostMargin, rank: candidateTokens };
/** Of an end that needs no token. */
const certain: Margin = { margin: 0, rank: 0 };

/**
 * One finding for each of the input's positions, in its order, from one reading of prompt and claimed ids. Positions
 * at and after a token that can't have been chosen get the greatest margin. Where the likeliest tokens that were read
 * can't tell what may be chosen, that place is read again. Rejects with the reason of an aborted `signal`.
 */
export async function checkAnswer({
  input,
  prompt,
  claimed: { claims, readable, isOver },
  slot,
  tokens,
  signal,
}: {
  input: CheckInput;
  prompt: readonly Token[];
  claimed: Claims;
  slot: SequenceSlot;
  tokens: readonly Token[];
  signal: AbortSignal;
}): Promise<Finding[]> {
  const { sampling } = input.of;
  const found = new Map<number, Margin>();
  if (isOver) found.set(input.tokenIds.length, certain);
  const toRead = [...prompt, ...readable];
  const read = async (asked: readonly Claim[], reach: Reach): Promise<Claim[]> => {
    const unsettled: Claim[] = [];
    const at = new Map(asked.map((claim) => [prompt.length - 1 + claim.position, claim]));
    const wishOf = ({ place }: Claim) => wishAt(place, { sampling, reach, tokens, atLeast: checkedTokens });
    const onLogits = (index: number, logits: Logits) => {
      const claim = at.get(index);
      if (claim === undefined) return;
      const margin = marginOf(claim, logits, sampling);
      if (margin === undefined) unsettled.push(claim);
      else found.set(claim.position, margin);
    };
    const wishes = new Map([...at].map(([index, claim]) => [index, wishOf(claim)]));
    await slot.read({ tokens: toRead, wishes, signal, isPatient: true, onLogits });
    return unsettled;
  };
  // From the last back, so that each needs no more than its own token read again.
  const settle = async (claim: Claim, reach: Reach | undefined): Promise<void> => {
    if (reach === undefined) return;
    for (const left of await read([claim], reach)) await settle(left, widerReach[reach]);
  };
  for (const claim of (await read(claims, "likeliest")).toReversed()) await settle(claim, widerReach.likeliest);
  return input.positions.map((position) => ({ position, ...(found.get(position) ?? impossible) }));
}

/** `undefined` where more tokens must be read to tell. */
function marginOf(claim: Claim, { byToken, leastRead }: Logits, sampling: Sampling): Margin | undefined {
  const { place } = claim;
  const candidates = [...byToken].filter(([id]) => place.allows(id));
  const by = { rules: sampling, counts: place.counts, leastRead };
  if (!areCandidatesEnough(candidates, by)) return undefined;
  return claimMargin(claim.tokenIds, candidates, sampling, place);
}
