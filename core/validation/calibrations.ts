import { modelHashSchema } from "../ids.ts";
import type { Calibration, EmbeddingCalibration } from "./calibration.ts";

/** What was measured, written by `npm run calibrate`. A test parses it by its schemas. */
export const calibrations: {
  readonly chat: readonly Calibration[];
  readonly embedding: readonly EmbeddingCalibration[];
} = {
  chat: [
    {
      model: modelHashSchema.parse("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
      backend: "llama.cpp v0.5.0 (node-llama-cpp 3.22.1), cpu x64",
      isMeasured: true,
      thresholds: [
        {
          fromPositions: 1,
          meanMargin: 0.2842,
        },
        {
          fromPositions: 4,
          meanMargin: 0.1166,
        },
        {
          fromPositions: 16,
          meanMargin: 0.0514,
        },
        {
          fromPositions: 32,
          meanMargin: 0.0407,
        },
        {
          fromPositions: 64,
          meanMargin: 0.0292,
        },
      ],
      grossMeanMargin: 0.1628,
      endMargin: 1.5,
      trials: 2369,
      falseAlarms: 2,
      falseAlarmRateBound: 0.00266,
      honestMaximum: 0.1396,
      measuredOn: "2026-11-29",
      provenance:
        "smollm2-135m-instruct: honest answers of up to 64 or 32 tokens at temperatures 0, 0.7 (top-p 0.9) and 1, each made under one set of conditions and checked under another (usual, alone, small pieces, 8-bit cache, flash attention, goes on, two threads), prompts of the calibration set. AMD EPYC, 2 cores. Thresholds: 1.5 times what one honest mean in 200 exceeds. No GPU was measured.",
    },
  ],
  embedding: [
    {
      model: modelHashSchema.parse("b848ffda0ef81fbf89b7f8f2b469351de51340d13ed769b503a4c958ef7cfc12"),
      backend: "llama.cpp v0.5.0 (node-llama-cpp 3.22.1), cpu x64",
      isMeasured: true,
      trials: 4000,
      measuredOn: "2026-11-29",
      provenance:
        "all-minilm-l6-v2: the same texts embedded with one thread and with two, in batches of other sizes. AMD EPYC, 2 cores. No GPU was measured.",
      leastCosine: 0.9999,
      grossCosine: 0.99,
      honestMinimum: 0.9999999856890773,
    },
  ],
};
