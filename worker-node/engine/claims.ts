import type { Token } from "node-llama-cpp";
import type { AnswerPlace } from "./answer-place.ts";
import type { Matcher } from "./grammar/grammar-host.ts";

/** What is claimed of one position that is looked at. */
export interface Claim {
  position: number;
  /** Where the answer stood; it has a copy of its own. */
  place: AnswerPlace;
  /** The token that was chosen; at the answer's end, each that ends one. */
  tokenIds: readonly number[];
}

export interface Claims {
  /** Of the positions that can be looked at, in order: those up to the first token that can't be. */
  claims: readonly Claim[];
  /** Tokens that may be read, up to the first that the model does not have or that the grammar forbids. */
  readable: readonly Token[];
  /** Whether the grammar had come to its end with the last token, which then ended the answer. */
  isOver: boolean;
}

/**
 * Walks a claimed answer token by token and stops at the first that no node can have chosen, whatever its logits. A
 * position equal to the number of ids stands for the answer's end. `place` is the answer's beginning and is moved.
 */
export async function claimsOf({
  tokenIds,
  positions,
  place,
  matcher,
  tokens,
  endIds,
}: {
  tokenIds: readonly number[];
  positions: readonly number[];
  place: AnswerPlace;
  matcher: Matcher | undefined;
  tokens: readonly Token[];
  endIds: ReadonlySet<number>;
}): Promise<Claims> {
  const wanted = new Set(positions);
  const claims: Claim[] = [];
  const readable: Token[] = [];
  for (const [position, tokenId] of tokenIds.entries()) {
    const token = tokens[tokenId];
    if (token === undefined || !place.allows(tokenId)) return { claims, readable, isOver: false };
    if (wanted.has(position)) claims.push({ position, place: place.copy(), tokenIds: [tokenId] });
    place.take(tokenId, matcher === undefined ? "none" : ((await matcher.accept(tokenId)) ?? "over"));
    readable.push(token);
  }
  const position = tokenIds.length;
  if (wanted.has(position) && !place.isOver) claims.push({ position, place: place.copy(), tokenIds: [...endIds] });
  return { claims, readable, isOver: place.isOver };
}
