/** First and longest wait before dialling again. */
const firstMs = 250;
const longestMs = 15_000;

/**
 * Milliseconds to wait before dial number `failures + 1`: doubling from a quarter second to 15 s, each drawn evenly
 * from the upper half of its span, so that a fleet that lost its router together does not come back together.
 * `random` returns 0 to 1.
 */
export function backoffMs(failures: number, random: () => number): number {
  const span = Math.min(longestMs, firstMs * 2 ** Math.min(failures, 16));
  return Math.round(span / 2 + (span / 2) * random());
}
