/**
 * The first tokens are always looked at: they say most. Where an answer soon goes round in circles, any model goes on
 * with the circle, and another model was seen only at its first token.
 */
const opening = 8;
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
 * Positions of an answer of `count` tokens to look at, ascending: the first eight, of the others one in eight, at least 32
 * in all, or all where there are fewer; then `count` itself for the end. The others are cut into as many stretches and one
 * position is drawn from each, so that, of a longer answer, no 16 tokens in a row go unseen. Empty for an answer of no
 * tokens that was cut off.
 */
export function drawPositions(count: number, { endsByModel, random }: PositionDraw): number[] {
  const first = Math.min(count, opening);
  const others = count - first;
  const wanted = Math.min(others, Math.max(fewest - opening, Math.ceil(others / oneIn)));
  const drawn = Array.from({ length: wanted }, (_, stretch) => {
    const from = Math.floor((stretch * others) / wanted);
    const to = Math.floor(((stretch + 1) * others) / wanted);
    return first + from + Math.floor(random() * (to - from));
  });
  return [...Array(first).keys(), ...drawn, ...(endsByModel ? [count] : [])];
}
