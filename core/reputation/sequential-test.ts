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
 * How often a check fails an honest node, at most: slightly, ten times what thresholds are calibrated for (an answer that
 * lies about the threshold does so for all who check it, so that three who agree are no better than one); grossly, what
 * no honest pair ever came near.
 */
export const honestRates = { slight: 1e-2, gross: 1e-4 } as const;

/**
 * Finds one who cheats in one answer of twenty. Two gross failures with 98 valid checks between reach it, or a gross one
 * and two slight ones; a gross one and a slight one do not. `test/simulation/audits` and the test beside this file have
 * how soon, and how seldom an honest node reaches it.
 */
export const fastTest: SequentialTest = {
  valid: Math.log((1 - 0.05) / (1 - honestRates.slight)),
  slight: Math.log(0.05 / honestRates.slight),
  gross: Math.log(0.05 / honestRates.gross),
  threshold: Math.log(1 / 3.9e-4),
};

/**
 * Finds one who cheats grossly in one answer of a hundred, or behaves for a while after each failure: three gross failures
 * within 460 checks reach it. Slight ones, which honest nodes have as often, say nothing to it.
 */
export const slowTest: SequentialTest = {
  valid: Math.log((1 - 0.01) / (1 - honestRates.gross)),
  slight: 0,
  gross: Math.log(0.01 / honestRates.gross),
  threshold: Math.log(1 / 1e-4),
};

/** The evidence after one more piece of it. */
export function weigh(evidence: number, weight: number): number {
  return Math.max(0, evidence + weight);
}
