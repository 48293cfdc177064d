/** Both ends of an interval for a share, from 0 to 1. */
export interface Interval {
  low: number;
  high: number;
}

/**
 * The exact 95 % interval of Clopper and Pearson (1934) for a share of which `hits` of `trials` were seen: it holds
 * the true share in at least 95 of 100 such experiments. From 0 to 1 where there was no trial.
 */
export function clopperPearson({ hits, trials }: { hits: number; trials: number }, confidence = 0.95): Interval {
  const tail = (1 - confidence) / 2;
  return {
    low: hits === 0 ? 0 : solve((share) => 1 - binomialAtMost({ hits: hits - 1, trials, share }) >= tail),
    high: hits >= trials ? 1 : solve((share) => binomialAtMost({ hits, trials, share }) <= tail),
  };
}

/** How likely at most `hits` of `trials` are where each is one with probability `share`. */
export function binomialAtMost({ hits, trials, share }: { hits: number; trials: number; share: number }): number {
  if (share <= 0) return 1;
  if (share >= 1) return hits >= trials ? 1 : 0;
  let sum = 0;
  let logTerm = trials * Math.log1p(-share);
  for (let count = 0; count <= hits; count++) {
    sum += Math.exp(logTerm);
    logTerm += Math.log((trials - count) / (count + 1)) + Math.log(share / (1 - share));
  }
  return Math.min(1, sum);
}

/** The least share for which `isReached` holds, given that it holds from there on. */
function solve(isReached: (share: number) => boolean): number {
  let [low, high] = [0, 1];
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (isReached(middle)) high = middle;
    else low = middle;
  }
  return high;
}
