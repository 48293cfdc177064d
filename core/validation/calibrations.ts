import type { Calibration, EmbeddingCalibration } from "./calibration.ts";

/** What was measured, written by `npm run calibrate`. A test parses it by its schemas. */
export const calibrations: {
  readonly chat: readonly Calibration[];
  readonly embedding: readonly EmbeddingCalibration[];
} = {
  chat: [],
  embedding: [],
};
