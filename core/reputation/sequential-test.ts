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
 * How often a check fails an honest node, at most: slightly, five times what thresholds are calibrated for (an answer
 * that lies about the threshold does so for all who check it, so that three who agree are no better than one); grossly,
 * what no honest pair ever came near.
 */
export const honestRates = { slight: 5e-3, gross: 1e-4 } as const;

/** A test against one who cheats in this share of its answers. */
export function testAgainst({ cheatRate, alpha }: { cheatRate: number; alpha: number }): SequentialTest {
  return {
    valid: Math.log((1 - cheatRate) / (1 - honestRates.slight)),
    slight: Math.log(cheatRate / honestRates.slight),
    gross: Math.log(cheatRate / honestRates.gross),
    threshold: Math.log(1 / alpha),
  };
}

/**
 * Finds one who cheats in one answer of twenty: two gross failures with 98 valid checks between reach it, 40 checks on
 * average. An honest node with the rates above would reach it once in 32,000 checks; with the 1 in 1,000 that thresholds
 * are made for, and 1 in 100,000 gross, once in 2.7 million.
 */
export const fastTest = testAgainst({ cheatRate: 0.05, alpha: 4e-4 });
/**
 * Finds one who cheats in one of a hundred, or behaves for a while after each failure: three gross failures within 900
 * checks reach it. An honest node with the rates above would once in 70,000 checks; with those others never.
 */
export const slowTest = testAgainst({ cheatRate: 0.01, alpha: 1e-4 });

/** The evidence after one more piece of it. */
export function weigh(evidence: number, weight: number): number {
  return Math.max(0, evidence + weight);
}
