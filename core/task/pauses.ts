/** How often a node that turned out full or gone is replaced before the caller is told that there is no room. */
export const maxPlacements = 64;

/** How often in a row a pool may break down under the claims of a task that no node has had: about 4 s in all. */
export const maxPoolBreaks = 8;

/** How often a node's object is asked in all, once it no longer tells, and how long after that at most. */
export const maxReturns = 5;
export const returnWithinMs = 2_000;

/**
 * Pause before the next claim, milliseconds, after so many that came to nothing (from 1). The first is at once; then
 * the pool hears from the node in a moment, and asking before that would draw the same node.
 */
export function placementPauseMs(placements: number): number {
  return Math.min(10 * (placements - 1), 200);
}

/** Pause before a pool is asked again that broke down under so many claims in a row (from 1): a reset takes a moment. */
export function poolPauseMs(breaks: number): number {
  return Math.min(50 * 2 ** (breaks - 1), 1_000);
}

/** Pause before the next of {@link maxReturns} questions, after so many (from 0): 0, 50, 100, 200, 400 ms. */
export function returnPauseMs(returns: number): number {
  return returns === 0 ? 0 : 50 * 2 ** (returns - 1);
}
