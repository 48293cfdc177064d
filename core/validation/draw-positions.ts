/**
 * Of another quantisation's tokens three of ten differ: with 16 places looked at, 4 of 100 such answers would have a mean
 * below an honest answer's threshold, with 32 one of 200.
 */
const fewest = 32;
const oneIn = 8;

export interface PositionDraw {
  /** True where the model ended the answer: then the place after its last token is looked at too. */
  endsByModel: boolean;
  /** From 0 up to 1; from a secret of the deployment, so that no node knows what will be looked at. */
  random: () => number;
}

/**
 * Positions of an answer of `count` tokens to look at, ascending: one in eight and at least 32, all where there are
 * fewer; then `count` itself for the end. The answer is cut into as many stretches and one position is drawn from each,
 * so that, of a longer answer, no 16 tokens in a row go unseen. Empty for an answer of no tokens that was cut off.
 */
export function drawPositions(count: number, { endsByModel, random }: PositionDraw): number[] {
  const wanted = Math.min(count, Math.max(fewest, Math.ceil(count / oneIn)));
  const positions = Array.from({ length: wanted }, (_, stretch) => {
    const from = Math.floor((stretch * count) / wanted);
    const to = Math.floor(((stretch + 1) * count) / wanted);
    return from + Math.floor(random() * (to - from));
  });
  return endsByModel ? [...positions, count] : positions;
}
