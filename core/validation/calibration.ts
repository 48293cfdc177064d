import { z } from "zod";
import { mostMargin } from "../decoding/claim-margin.ts";
import { type ModelHash, modelHashSchema } from "../ids.ts";
import type { ModelCard } from "../model/model-card.ts";
import { calibrations } from "./calibrations.ts";

/** From so many looked-at positions on, a mean margin above this is implausible. */
const marginThresholdSchema = z.strictObject({
  fromPositions: z.int().positive(),
  meanMargin: z.number().positive().max(mostMargin),
});

/** How a model's answers are judged, and where the numbers come from. Margins are in logits. */
export const calibrationSchema = z.strictObject({
  model: modelHashSchema,
  /** Of the honest pairs: what ran the model, its version and its kind of processor, as `llama.cpp b6673, cpu`. */
  backend: z.string().min(1).max(128),
  /** False for the default, which no model was measured for. */
  isMeasured: z.boolean(),
  /** Ascending, the first from 1 position: the fewer are looked at, the wider an honest mean scatters. */
  thresholds: z.array(marginThresholdSchema).min(1).max(16),
  /** From here on a failure is gross, of few positions from four times their bound on: no honest pair came near. */
  grossMeanMargin: z.number().positive().max(mostMargin),
  /** At the end's place alone: a model that ended here, or would not have. */
  endMargin: z.number().positive().max(mostMargin),
  /** Honest pairs that were measured, each one check. */
  trials: z.int().nonnegative(),
  /** How many of them the thresholds call implausible. */
  falseAlarms: z.int().nonnegative(),
  /** Upper bound of the share of false alarms, 95 %, Clopper–Pearson; 1 where nothing was measured. */
  falseAlarmRateBound: z.number().min(0).max(1),
  /** The largest mean margin among them. */
  honestMaximum: z.number().nonnegative().max(mostMargin),
  /** `YYYY-MM-DD`, or `null` where it was not measured. */
  measuredOn: z.iso.date().nullable(),
  /** The pairs' settings, prompts and machine, in words. */
  provenance: z.string().max(2_000),
});
export type Calibration = z.infer<typeof calibrationSchema>;

/** The same for embeddings: each vector's cosine with the one computed again. */
export const embeddingCalibrationSchema = calibrationSchema
  .pick({ model: true, backend: true, isMeasured: true, trials: true, measuredOn: true, provenance: true })
  .extend({
    leastCosine: z.number().min(0).max(1),
    /** Below this a failure is gross. */
    grossCosine: z.number().min(0).max(1),
    /** The smallest cosine among honest pairs. */
    honestMinimum: z.number().min(-1).max(1),
  });
export type EmbeddingCalibration = z.infer<typeof embeddingCalibrationSchema>;

/**
 * Of a model's calibrations the loosest, since a check may join any two of the measured backends; a cautious default,
 * `isMeasured: false`, where there is none, and for `own` decoding: no pair with another engine was measured.
 */
export function calibrationOf(model: ModelHash, decoding: ModelCard["decoding"] = "verifiable"): Calibration {
  const measured = calibrations.chat.filter((each) => each.model === model && decoding === "verifiable");
  const [first, ...others] = measured;
  if (first === undefined) return { model, ...unmeasured };
  return others.reduce((loosest, each) => (looseness(each) > looseness(loosest) ? each : loosest), first);
}

/** The same for a model of embeddings. */
export function embeddingCalibrationOf(model: ModelHash): EmbeddingCalibration {
  const measured = calibrations.embedding.filter((each) => each.model === model);
  const [first, ...others] = measured;
  if (first === undefined) return { model, ...unmeasuredEmbedding };
  return others.reduce((loosest, each) => (each.leastCosine < loosest.leastCosine ? each : loosest), first);
}

/** The mean margin up to which an answer is plausible when so many positions were looked at. */
export function thresholdFor({ thresholds }: Pick<Calibration, "thresholds">, positions: number): number {
  const reached = thresholds.filter(({ fromPositions }) => fromPositions <= positions);
  return (reached.at(-1) ?? thresholds[0])?.meanMargin ?? mostMargin;
}

function looseness({ thresholds }: Calibration): number {
  return thresholds.at(-1)?.meanMargin ?? mostMargin;
}

/**
 * For what nobody measured: honest pairs of the measured models have means of 0.003 to 0.008, another quantisation of
 * the same model 0.3 and more. Twenty times the former still is half the latter. A close cheat may slip through; an
 * honest node does not fail.
 */
const unmeasured: Omit<Calibration, "model"> = {
  backend: "none",
  isMeasured: false,
  thresholds: [
    { fromPositions: 1, meanMargin: 2 },
    { fromPositions: 4, meanMargin: 0.8 },
    { fromPositions: 16, meanMargin: 0.3 },
    { fromPositions: 32, meanMargin: 0.2 },
    { fromPositions: 64, meanMargin: 0.16 },
  ],
  grossMeanMargin: 1,
  endMargin: 3,
  trials: 0,
  falseAlarms: 0,
  falseAlarmRateBound: 1,
  honestMaximum: 0,
  measuredOn: null,
  provenance: "Not measured for this model or engine: a cautious default.",
};

const unmeasuredEmbedding: Omit<EmbeddingCalibration, "model"> = {
  backend: "none",
  isMeasured: false,
  leastCosine: 0.999,
  grossCosine: 0.98,
  trials: 0,
  honestMinimum: 1,
  measuredOn: null,
  provenance: "Not measured for this model: a cautious default.",
};
