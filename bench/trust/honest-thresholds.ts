import { mostMargin } from "../../core/decoding/claim-margin.ts";
import { type Calibration, thresholdFor } from "../../core/validation/calibration.ts";
import { grossTimes } from "../../core/validation/judge-check.ts";
import { clopperPearson } from "./intervals.ts";
import { seededRandom } from "./seeded-random.ts";
import type { TrialRow } from "./trial-row.ts";

/** Numbers of looked-at positions that a threshold is told for; 32 are looked at in an answer of 64 tokens. */
const steps = [1, 4, 16, 32, 64] as const;
const draws = 40_000;
/**
 * Of honest means, the share that lies above the quantile which thresholds are made of. Not the largest: that is a matter
 * of how many were tried, and of 2,121 pairs with 32 places it was nearly twice the next one, by a single place.
 */
const tail = 0.005;
/** Kept beyond that quantile: for the rest of the tail, another processor, another driver, other prompts. */
const safety = 1.5;
/** At the end alone a lone rounding decides, so twice what one place in 10,000 exceeds; an invented end is beyond any. */
const endMargins = { tail: 0.0001, times: 2, least: 1.5, most: 3 } as const;

/**
 * Thresholds of mean margins from honest trials. For each number of positions, so many are drawn from an answer (or from
 * several, where one has too few) over and over; the threshold is 1.5 times what one such mean in 200 exceeds, and one in
 * 200 of the means that were seen. So an answer in which more was looked at is held to a tighter bound.
 */
export function honestThresholds(
  rows: readonly TrialRow[],
): Pick<
  Calibration,
  "thresholds" | "grossMeanMargin" | "endMargin" | "trials" | "falseAlarms" | "falseAlarmRateBound" | "honestMaximum"
> {
  const means = rows.map(meanMargin);
  const honestMaximum = round(Math.max(...means));
  const thresholds = steps.map((fromPositions) => {
    const seen = rows.filter(({ positions }) => positions.length >= fromPositions).map(meanMargin);
    const most = Math.max(quantile(seen, tail), drawnQuantile(rows, fromPositions));
    return { fromPositions, meanMargin: Math.max(0.01, round(Math.min(mostMargin, most * safety))) };
  });
  // More positions never have a wider bound.
  for (const [at, step] of thresholds.entries()) {
    step.meanMargin = Math.min(step.meanMargin, thresholds[at - 1]?.meanMargin ?? mostMargin);
  }
  const falseAlarms = rows.filter((row, at) => (means[at] ?? 0) > thresholdFor({ thresholds }, row.positions.length));
  const atOnePlace = quantile(
    rows.flatMap(({ margins }) => margins),
    endMargins.tail,
  );
  const counted = { hits: falseAlarms.length, trials: rows.length };
  return {
    thresholds,
    grossMeanMargin: round(Math.min(1, grossTimes * thresholdFor({ thresholds }, 32))),
    endMargin: round(Math.min(endMargins.most, Math.max(endMargins.least, endMargins.times * atOnePlace))),
    trials: rows.length,
    falseAlarms: falseAlarms.length,
    // One-sided: what is asked is how many there may be.
    falseAlarmRateBound: roundUp(clopperPearson(counted, 0.9).high),
    honestMaximum,
  };
}

const meanMargin = ({ margins }: Pick<TrialRow, "margins">) =>
  margins.length === 0 ? 0 : margins.reduce((sum, margin) => sum + margin, 0) / margins.length;

/** What this share of the values exceeds; 0 of none. */
function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.floor((1 - share) * sorted.length)] ?? 0;
}

/** What one mean in 1/{@link tail} exceeds, of so many different places of one answer, or of a few where one has less. */
function drawnQuantile(rows: readonly TrialRow[], positions: number): number {
  const random = seededRandom(positions);
  const means = Array.from({ length: draws }, () => {
    let [sum, left] = [0, positions];
    while (left > 0) {
      const margins = [...(rows[Math.floor(random() * rows.length)]?.margins ?? [])];
      const taken = Math.min(left, margins.length);
      for (let place = 0; place < taken; place++) {
        const other = place + Math.floor(random() * (margins.length - place));
        sum += margins[other] ?? 0;
        margins[other] = margins[place] ?? 0;
      }
      left -= Math.max(1, taken);
    }
    return sum / positions;
  });
  return quantile(means, tail);
}

const round = (value: number) => Math.round(value * 1e4) / 1e4;
const roundUp = (value: number) => Math.min(1, Math.ceil(value * 1e5) / 1e5);
