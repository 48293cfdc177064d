/**
 * A sequential test of Wald (1945) that begins again whenever it would fall below 0 (the CUSUM of Page 1954, optimal by
 * Lorden 1971): what speaks for cheating against honesty, in nats. An honest node's falls with each valid check, and
 * each confirmed failure adds what that failure is worth.
 */
export interface SequentialTest {
  valid: number;
  /** Of a confirmed failure. */
  slight: number;
  gross: number;
  /** ln(1/α): a run that begins at 0 reaches it for an honest node with a probability of at most α. */
  threshold: number;
}

/**
 * How often a check fails an honest node, at most: slightly, by a threshold's calibrated false alarms; grossly, by what
 * no honest pair ever came near. Bounds, not measurements: three operators must have agreed besides.
 */
export const honestRates = { slight: 1e-3, gross: 1e-4 } as const;

/** A test against one who cheats in this share of its answers. */
export function testAgainst({ cheatRate, alpha }: { cheatRate: number; alpha: number }): SequentialTest {
  return {
    valid: Math.log((1 - cheatRate) / (1 - honestRates.slight)),
    slight: Math.log(cheatRate / honestRates.slight),
    gross: Math.log(cheatRate / honestRates.gross),
    threshold: Math.log(1 / alpha),
  };
}

/** Finds one who cheats in one answer of twenty: two gross failures within 109 checks reach it. */
export const fastTest = testAgainst({ cheatRate: 0.05, alpha: 1e-3 });
/** Finds one who cheats in one of a hundred, or behaves for a while after each failure: three gross failures within 500 checks. */
export const slowTest = testAgainst({ cheatRate: 0.01, alpha: 1e-4 });

/** The evidence after one more piece of it. */
export function weigh(evidence: number, weight: number): number {
  return Math.max(0, evidence + weight);
}
